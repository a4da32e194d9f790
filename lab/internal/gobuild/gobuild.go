// Package gobuild runs go build, and shows how many packages of how many are compiled.
package gobuild

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
)

// Build is what is compiled.
type Build struct {
	// Name is what people are told of.
	Name string
	// Dir is in the module of the package.
	Dir string
	Env []string
	// Flags are those of go build, Output and Package its file and its package.
	Flags           []string
	Output, Package string
	// Niceness is 0 to 19.
	Niceness int
}

// Run compiles the package. Its error has what go says.
func (b Build) Run(ctx context.Context) error {
	counting, stop := context.WithCancel(ctx)
	var count sync.WaitGroup
	defer count.Wait()
	defer stop()

	var r report
	defer progress.Start("compiling "+b.Name, r.progress)()
	count.Go(func() { r.expect(b.stale(counting)) })
	build := b.command(ctx, b.Niceness, "build",
		append(slices.Clip(b.Flags), "-v", "-o", b.Output, b.Package)...)
	build.Stdout, build.Stderr = &r, &r
	if err := build.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("go build in %s: %w\n%s", b.Dir, err, r.faults())
	}
	return nil
}

func (b Build) command(ctx context.Context, niceness int, command string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nice",
		append([]string{"-n", strconv.Itoa(niceness), "go", command}, args...)...)
	cmd.Dir, cmd.Env = b.Dir, b.Env
	return cmd
}

// stale are the packages that have to be compiled, while go build may have begun with that. Only people need
// them: it takes what the build leaves of the processors.
func (b Build) stale(ctx context.Context) []string {
	args := append([]string{"-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"}, b.Flags...)
	out, err := b.command(ctx, 19, "list", append(args, b.Package)...).Output()
	if err != nil {
		return nil // the build says why
	}
	return strings.Fields(string(out))
}

// report reads what go build -v says.
type report struct {
	mutex    sync.Mutex
	line     []byte
	modules  int
	begun    map[string]bool
	expected map[string]bool
	// said is all that is no progress.
	said bytes.Buffer
}

var _ io.Writer = (*report)(nil)

func (r *report) Write(p []byte) (int, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.line = append(r.line, p...)
	for {
		line, rest, ended := bytes.Cut(r.line, []byte("\n"))
		if !ended {
			return len(p), nil
		}
		r.take(string(line))
		r.line = rest
	}
}

// take tells packages, each named when its turn comes, and modules that are downloaded from what is said
// besides.
func (r *report) take(line string) {
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		r.modules++
	case strings.ContainsAny(line, " :"):
		r.said.WriteString(line + "\n")
	default:
		if r.begun == nil {
			r.begun = map[string]bool{}
		}
		r.begun[line] = true
	}
}

// expect names packages that have to be compiled, or had to be: some are begun by now.
func (r *report) expect(packages []string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if len(packages) == 0 {
		return
	}
	r.expected = maps.Clone(r.begun)
	if r.expected == nil {
		r.expected = map[string]bool{}
	}
	for _, name := range packages {
		r.expected[name] = true
	}
}

func (r *report) progress() string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	begun, expected := len(r.begun), len(r.expected)
	switch {
	case begun == 0 && r.modules > 0:
		return fmt.Sprintf("%d modules downloaded", r.modules)
	case begun == 0:
		return ""
	case expected == 0:
		return fmt.Sprintf("%d packages", begun)
	case begun >= expected:
		return fmt.Sprintf("%d packages, linking", begun)
	default:
		return fmt.Sprintf("%d of %d packages", begun, expected)
	}
}

// faults are what go said of what it could not compile.
func (r *report) faults() string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.said.String() + string(r.line)
}

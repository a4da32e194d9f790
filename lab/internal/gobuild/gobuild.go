// Package gobuild runs go build, and shows how many of the packages are compiled.
package gobuild

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
)

// Build is one go build.
type Build struct {
	Name            string   // for people
	Dir             string   // in the module of the package
	Env, Flags      []string // of go build
	Output, Package string
	Niceness        int // 0 to 19
}

// Run compiles the package. Its error has go's output.
func (b Build) Run(ctx context.Context) error {
	counting, stop := context.WithCancel(ctx)
	var count sync.WaitGroup
	defer count.Wait()
	defer stop()

	var r report
	defer progress.Start("compiling "+b.Name, r.progress)()
	count.Go(func() { r.expect(b.stale(counting)) })
	args := append(slices.Clip(b.Flags), "-v", "-o", b.Output, b.Package)
	build := b.command(ctx, b.Niceness, "build", args...)
	build.Stdout, build.Stderr = &r, &r
	if err := build.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("go build in %s: %w\n%s", b.Dir, err, r.errors.String())
	}
	return nil
}

func (b Build) command(ctx context.Context, niceness int, command string, args ...string) *exec.Cmd {
	args = append([]string{"-n", strconv.Itoa(niceness), "go", command}, args...)
	cmd := exec.CommandContext(ctx, "nice", args...)
	cmd.Dir, cmd.Env = b.Dir, b.Env
	return cmd
}

// stale counts the packages that the build has to compile. It takes what the build leaves of the processors.
func (b Build) stale(ctx context.Context) int {
	args := append([]string{"-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"}, b.Flags...)
	out, _ := b.command(ctx, 19, "list", append(args, b.Package)...).Output() // the build reports errors
	return len(strings.Fields(string(out)))
}

// report reads the output of go build -v: the name of each package that it starts, the modules that it
// downloads, and errors.
type report struct {
	mutex                    sync.Mutex
	line                     []byte
	modules, begun, expected int
	errors                   bytes.Buffer
}

func (r *report) Write(p []byte) (int, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.line = append(r.line, p...)
	for {
		line, rest, ended := bytes.Cut(r.line, []byte("\n"))
		if !ended {
			return len(p), nil
		}
		switch {
		case bytes.HasPrefix(line, []byte("go: downloading ")):
			r.modules++
		case bytes.ContainsAny(line, " :"):
			r.errors.Write(append(line, '\n'))
		default:
			r.begun++
		}
		r.line = slices.Clone(rest)
	}
}

// expect sets how many packages the build compiles. It has started some of these already.
func (r *report) expect(packages int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.expected = packages
}

func (r *report) progress() string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	switch {
	case r.begun == 0 && r.modules > 0:
		return fmt.Sprintf("%d modules downloaded", r.modules)
	case r.begun == 0:
		return ""
	case r.expected == 0:
		return fmt.Sprintf("%d packages", r.begun)
	case r.begun >= r.expected:
		return fmt.Sprintf("%d packages, linking", r.begun)
	default:
		return fmt.Sprintf("%d of %d packages", r.begun, r.expected)
	}
}

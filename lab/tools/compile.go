package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/gobuild"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/lock"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
)

// compile is the last source of tools: it compiles them, one after the other.
func (s Store) compile(ctx context.Context, missing []Tool) error {
	env, release, err := useCaches(ctx, s.Cache)
	if err != nil {
		return err
	}
	defer release()
	for i, tool := range missing {
		path, err := s.path(tool)
		if err != nil {
			return err
		}
		err = lock.Once(ctx, s.Cache, path, anotherLab, func(partial string) error {
			slog.Info("compiling", "tool", tool.Name)
			start := time.Now()
			if err := s.build(ctx, tool, partial, env); err != nil {
				return err
			}
			slog.Info("compiled", "tool", tool.Name, "took", time.Since(start).Round(time.Second),
				"left", len(missing)-i-1)
			return nil
		})
		if err != nil {
			return fmt.Errorf("compiling %s: %w", tool.Name, err)
		}
	}
	return nil
}

// path returns where a tool is in the cache. Its directory is named by a hash of the tool's inputs.
func (s Store) path(t Tool) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOARCH,
		slices.Concat([]string{"build"}, t.flags(), []string{"-o", "", t.Package}))
	dir := filepath.Join(s.Modules, t.Module)
	inputs, err := filepath.Glob(filepath.Join(dir, "go.*")) // go.mod, and go.sum where there is one
	if err != nil {
		return "", err
	}
	var own []string
	if strings.HasPrefix(t.Package, ".") {
		own = append(own, t.Package)
	}
	if t.Trimmed != nil {
		own = append(own, "stubs")
	}
	for _, own := range own {
		err := filepath.WalkDir(filepath.Join(dir, own), func(path string, _ fs.DirEntry, err error) error {
			if filepath.Ext(path) == ".go" {
				inputs = append(inputs, path)
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	for _, input := range inputs {
		content, err := os.ReadFile(input)
		if err != nil {
			return "", err
		}
		hash.Write(content)
	}
	key := hex.EncodeToString(hash.Sum(nil))[:16]
	return filepath.Join(s.Cache, "tools", t.Name+"-"+key, t.Name), nil
}

// commonTags choose Go's own resolver, as k3s does. Tools with the same tags share the compiled standard
// library.
var commonTags = []string{"netgo", "osusergo"}

// flags returns the flags of go build. Debug information would cost a tenth of the time and a quarter of the
// build cache.
func (t Tool) flags() []string {
	ldflags := []string{"-s", "-w"}
	for _, name := range slices.Sorted(maps.Keys(t.Variables)) {
		ldflags = append(ldflags, "-X", name+"="+t.Variables[name])
	}
	return []string{
		"-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false",
		"-tags=" + strings.Join(slices.Concat(commonTags, t.Tags), ","), "-ldflags=" + strings.Join(ldflags, " "),
	}
}

func (s Store) build(ctx context.Context, t Tool, output string, env []string) error {
	end := progress.Start("copying what "+t.Name+" is compiled from", nil)
	err := s.copySources(ctx, t, env)
	end()
	if err != nil {
		return err
	}
	// The tools of the cluster come first, so that it starts while Pulumi is compiled.
	niceness := 0
	if t.IsPulumi() {
		niceness = 10
	}
	err = gobuild.Build{
		Name: t.Name, Dir: filepath.Join(s.Modules, t.Module), Flags: t.flags(), Output: output, Package: t.Package,
		Niceness: niceness,
		Env: append(slices.Clip(env),
			"CGO_ENABLED=1",
			"CGO_CFLAGS=-O1", // SQLite takes half as long to compile as with -O2 and debug information
			"GOGC=400",       // a twentieth of the time for up to 300 MB more
		),
	}.Run(ctx)
	if err != nil {
		return err
	}
	return flush(output)
}

// CopySources copies the sources that the tools' modules need and that are not committed. Without them go
// cannot load the modules.
func (s Store) CopySources(ctx context.Context) error {
	env := append(os.Environ(), "GOFLAGS=-modcacherw", "GOWORK=off")
	for _, tool := range slices.Concat(All, Optional) {
		unlock, err := lock.Take(ctx, s.lockFile(tool.Name), anotherLab)
		if err != nil {
			return err
		}
		err = s.copySources(ctx, tool, env)
		unlock()
		if err != nil {
			return fmt.Errorf("copying what %s is compiled from: %w", tool.Name, err)
		}
	}
	return nil
}

func (s Store) copySources(ctx context.Context, t Tool, env []string) error {
	for _, module := range t.Trimmed {
		if err := module.trim(ctx, filepath.Join(s.Modules, t.Module), env); err != nil {
			return err
		}
	}
	if t.prepare == nil {
		return nil
	}
	return t.prepare(ctx, s.Modules, env)
}

// flush writes a file to the disk: after a power loss its name must not stand for half of it.
func flush(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}

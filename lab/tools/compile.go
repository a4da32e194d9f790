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

// Build compiles what the cache lacks, one tool after the other, and returns where every tool lies.
// Several labs may call it at once: one compiles a tool, the others wait for it.
func Build(ctx context.Context, cache, modules string, want []Tool) (Binaries, error) {
	have, missing, err := Cached(cache, modules, want)
	if err != nil || len(missing) == 0 {
		return have, err
	}
	env, release, err := useCaches(ctx, cache)
	if err != nil {
		return nil, err
	}
	defer release()
	for i, tool := range missing {
		if err := tool.buildOnce(ctx, cache, modules, env, len(missing)-i-1); err != nil {
			return nil, fmt.Errorf("compiling %s: %w", tool.Name, err)
		}
	}
	have, _, err = Cached(cache, modules, want)
	return have, err
}

// path names the binary by what it is built from.
func (t Tool) path(cache, modules string) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOARCH,
		slices.Concat([]string{"build"}, t.flags(), []string{"-o", "", t.Package}))
	dir := filepath.Join(modules, t.Module)
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
	return filepath.Join(cache, "tools", t.Name+"-"+key, t.Name), nil
}

// commonTags choose Go's own resolver, which k3s wants: with the same tags, tools share the compiled standard
// library.
var commonTags = []string{"netgo", "osusergo"}

// flags are those of go build. Debug information would cost a tenth of the time and a quarter of the build
// cache.
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

// anotherLab is who holds the locks of tools.
const anotherLab = "another lab on this machine that is getting the same tools"

// buildOnce compiles a tool unless another lab has done so meanwhile.
func (t Tool) buildOnce(ctx context.Context, cache, modules string, env []string, left int) error {
	unlock, err := lock.Take(ctx, filepath.Join(cache, "locks", t.Name), anotherLab)
	if err != nil {
		return err
	}
	defer unlock()
	path, err := t.path(cache, modules)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	slog.Info("compiling", "tool", t.Name)
	start := time.Now()
	if err := t.build(ctx, path, modules, env); err != nil {
		return err
	}
	slog.Info("compiled", "tool", t.Name, "took", time.Since(start).Round(time.Second), "left", left)
	return nil
}

func (t Tool) build(ctx context.Context, path, modules string, env []string) error {
	dir := filepath.Join(modules, t.Module)
	end := progress.Start("copying what "+t.Name+" is compiled from", nil)
	err := t.copySources(ctx, modules, env)
	end()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	partial := path + ".partial"
	if err := os.RemoveAll(partial); err != nil { // go does not overwrite what it does not know
		return err
	}
	// What the cluster needs comes first, so that it starts while Pulumi is compiled.
	niceness := 0
	if t.IsPulumi() {
		niceness = 10
	}
	err = gobuild.Build{
		Name: t.Name, Dir: dir, Flags: t.flags(), Output: partial, Package: t.Package, Niceness: niceness,
		Env: append(slices.Clip(env),
			"CGO_ENABLED=1", "CGO_CFLAGS=-O1",
			// SQLite takes half as long to compile as with -O2 and debug information
			"GOGC=400", // a twentieth of the time for up to 300 MB more
		),
	}.Run(ctx)
	if err != nil {
		return err
	}
	if err := flush(partial); err != nil {
		return err
	}
	return os.Rename(partial, path)
}

// CopySources makes what is not committed of the tools' modules, without which go cannot load them.
func CopySources(ctx context.Context, cache, modules string) error {
	env := append(os.Environ(), "GOFLAGS=-modcacherw", "GOWORK=off")
	for _, tool := range All {
		unlock, err := lock.Take(ctx, filepath.Join(cache, "locks", tool.Name), anotherLab)
		if err != nil {
			return err
		}
		err = tool.copySources(ctx, modules, env)
		unlock()
		if err != nil {
			return fmt.Errorf("copying what %s is compiled from: %w", tool.Name, err)
		}
	}
	return nil
}

func (t Tool) copySources(ctx context.Context, modules string, env []string) error {
	for _, module := range t.Trimmed {
		if err := module.trim(ctx, filepath.Join(modules, t.Module), env); err != nil {
			return err
		}
	}
	if t.prepare == nil {
		return nil
	}
	return t.prepare(ctx, modules, env)
}

// flush has a file on the disk, so that its name never stands for half of it after a loss of power.
func flush(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}

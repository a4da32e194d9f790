// Package tools compiles the lab's tools from the Go modules that are pinned in
// the folders beside it.
package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Tool is one program that the lab runs.
type Tool struct {
	// Name is the name of the binary.
	Name string
	// Module is the folder that pins the tool's module.
	Module string
	// Package is what is compiled there.
	Package string
	// Tags are build tags.
	Tags []string
	// Cgo says that the tool needs a C compiler.
	Cgo bool
	// Variables are set by the linker.
	Variables map[string]string
	// prepare makes the files that the module needs and that are not committed.
	prepare func(ctx context.Context, dir string) error
}

// Versions of what others have to name.
const (
	PulumiVersion            = "3.259.0"
	KubernetesPluginVersion  = "4.25.0"
	DockerBuildPluginVersion = "0.0.22"
	k3sVersion               = "v1.35.0+k3s1"
)

// All lists every tool, those that take longest first.
var All = []Tool{
	{
		Name: "pulumi-resource-kubernetes", Module: "kubernetes-plugin", Package: ".",
		Variables: map[string]string{"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version": KubernetesPluginVersion},
		prepare:   copyKubernetesSchema,
	},
	{
		Name: "k3s", Module: "k3s", Package: "github.com/k3s-io/k3s/cmd/server", Cgo: true,
		Tags: []string{"ctrd", "netcgo", "osusergo", "providerless", "urfave_cli_no_docs", "sqlite_omit_load_extension", "no_stage"},
		Variables: map[string]string{
			"github.com/k3s-io/k3s/pkg/version.UpstreamGolang": runtime.Version(),
			"github.com/k3s-io/k3s/pkg/version.Version":        k3sVersion,
			"k8s.io/component-base/version.gitVersion":         k3sVersion,
			"k8s.io/client-go/pkg/version.gitVersion":          k3sVersion,
		},
	},
	{
		Name: "pulumi", Module: "pulumi", Package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
		Variables: map[string]string{"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": "v" + PulumiVersion},
	},
	{
		Name: "pulumi-resource-docker-build", Module: "docker-build-plugin",
		Package:   "github.com/pulumi/pulumi-docker-build/provider/cmd/pulumi-resource-docker-build",
		Variables: map[string]string{"github.com/pulumi/pulumi-docker-build/provider.Version": DockerBuildPluginVersion},
	},
	{Name: "buildkitd", Module: "buildkitd", Package: "github.com/moby/buildkit/cmd/buildkitd"},
	{Name: "local-path-provisioner", Module: "local-path-provisioner", Package: "github.com/rancher/local-path-provisioner"},
	{Name: "coredns", Module: "coredns", Package: "."},
	{Name: "pulumi-language-go", Module: "language-go", Package: "github.com/pulumi/pulumi/sdk/go/pulumi-language-go/v3"},
	{Name: "registry", Module: "registry", Package: "."},
	{Name: "runc", Module: "runc", Package: "github.com/opencontainers/runc", Cgo: true, Tags: []string{"seccomp", "apparmor"}},
	{Name: "containerd-shim-runc-v2", Module: "k3s", Package: "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"},
	{Name: "pause", Module: "pause", Package: "."},
}

// Architecture is what the tools are compiled for.
const Architecture = runtime.GOARCH

// Pulumi lists what is needed for a cluster that is there already.
func Pulumi() []Tool {
	var pulumi []Tool
	for _, tool := range All {
		if strings.HasPrefix(tool.Name, "pulumi") {
			pulumi = append(pulumi, tool)
		}
	}
	return pulumi
}

// Binaries says where each tool lies, by its name.
type Binaries map[string]string

// Cached looks the tools up in the cache; missing has those that are not there.
func Cached(cache, modules string, want []Tool) (have Binaries, missing []Tool, err error) {
	have = Binaries{}
	for _, tool := range want {
		path, err := tool.path(cache, modules)
		if err != nil {
			return nil, nil, fmt.Errorf("looking for %s: %w", tool.Name, err)
		}
		if _, err := os.Stat(path); err == nil {
			have[tool.Name] = path
		} else {
			missing = append(missing, tool)
		}
	}
	return have, missing, nil
}

// Build compiles what the cache lacks and returns where every tool lies.
// Several labs may call it at once: one compiles, the others wait for it.
func Build(ctx context.Context, cache, modules string, want []Tool) (Binaries, error) {
	have, missing, err := Cached(cache, modules, want)
	if err != nil || len(missing) == 0 {
		return have, err
	}
	unlock, err := lock(filepath.Join(cache, "compiling"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if have, missing, err = Cached(cache, modules, want); err != nil {
		return nil, err
	}

	slog.Info("compiling tools", "missing", len(missing), "cached", len(have), "into", cache)
	var left atomic.Int32
	left.Store(int32(len(missing)))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(2, runtime.NumCPU())) // one alone leaves cores idle while it waits for its largest package
	for _, tool := range missing {
		group.Go(func() error {
			slog.Info("compiling", "tool", tool.Name)
			start := time.Now()
			if err := tool.build(ctx, cache, modules); err != nil {
				return fmt.Errorf("compiling %s: %w", tool.Name, err)
			}
			slog.Info("compiled", "tool", tool.Name, "took", time.Since(start).Round(time.Second), "left", left.Add(-1))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	have, _, err = Cached(cache, modules, want)
	return have, err
}

// path names the binary by what it is built from.
func (t Tool) path(cache, modules string) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOARCH, t.args(""))
	dir := filepath.Join(modules, t.Module)
	sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", err
	}
	pins, err := filepath.Glob(filepath.Join(dir, "go.*")) // go.mod, and go.sum where there is one
	if err != nil {
		return "", err
	}
	for _, source := range append(sources, pins...) {
		content, err := os.ReadFile(source)
		if err != nil {
			return "", err
		}
		hash.Write(content)
	}
	key := hex.EncodeToString(hash.Sum(nil))[:16]
	return filepath.Join(cache, "tools", t.Name+"-"+key, t.Name), nil
}

// args are those of `go`. Debug information would cost a tenth of the time and a quarter of the build cache.
func (t Tool) args(output string) []string {
	ldflags := []string{"-s", "-w"}
	for _, name := range slices.Sorted(maps.Keys(t.Variables)) {
		ldflags = append(ldflags, "-X", name+"="+t.Variables[name])
	}
	return []string{
		"build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false",
		"-tags=" + strings.Join(t.Tags, ","), "-ldflags=" + strings.Join(ldflags, " "), "-o", output, t.Package,
	}
}

func (t Tool) build(ctx context.Context, cache, modules string) error {
	dir := filepath.Join(modules, t.Module)
	if t.prepare != nil {
		if err := t.prepare(ctx, dir); err != nil {
			return err
		}
	}
	path, err := t.path(cache, modules)
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
	cgo := "CGO_ENABLED=0"
	if t.Cgo {
		cgo = "CGO_ENABLED=1"
	}
	cmd := exec.CommandContext(ctx, "go", t.args(partial)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), cgo, "GOFLAGS=", "GOWORK=off")
	if output, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("go build in %s: %w\n%s", dir, err, output)
	}
	return os.Rename(partial, path)
}

// lock waits until no other process holds the file.
func lock(path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		slog.Info("waiting for another lab on this machine that is compiling the same tools")
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}

// Package tools compiles the lab's tools from the Go modules that are pinned in
// the folders beside it.
package tools

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// Tool is one program that the lab runs.
type Tool struct {
	// Name is the name of the binary.
	Name string
	// Module is the folder that pins the tool's module.
	Module string
	// Package is what is compiled there.
	Package string
	// Tags are build tags, added to commonTags.
	Tags []string
	// Variables are set by the linker.
	Variables map[string]string
	// Minutes is how many of a processor compiling it takes, after the tools before it.
	Minutes float64
	// Trimmed are modules that are compiled from copies.
	Trimmed []trimmed
	// prepare makes the files that the module needs and that are not committed.
	prepare func(ctx context.Context, dir string, env []string) error
}

// Versions of what others have to name.
const (
	PulumiVersion            = "3.259.0"      // renovate: pulumi/pulumi
	KubernetesPluginVersion  = "4.25.0"       // renovate: pulumi/pulumi-kubernetes
	DockerBuildPluginVersion = "0.0.22"       // renovate: pulumi/pulumi-docker-build
	k3sVersion               = "v1.35.0+k3s1" // renovate: k3s-io/k3s
)

// The tags of k3s's own build.
var kubernetesTags = []string{"ctrd", "providerless", "urfave_cli_no_docs", "sqlite_omit_load_extension",
	"no_stage"}

// All lists every tool. Those of one module share compiled packages; they are compiled in this order.
var All = []Tool{
	{
		Name: "k3s", Minutes: 10, Module: "kubernetes", Package: "github.com/k3s-io/k3s/cmd/server",
		Tags: kubernetesTags, Trimmed: trimmedK3s,
		Variables: map[string]string{
			"github.com/k3s-io/k3s/pkg/version.UpstreamGolang": runtime.Version(),
			"github.com/k3s-io/k3s/pkg/version.Version":        k3sVersion,
			"k8s.io/component-base/version.gitVersion":         k3sVersion,
			"k8s.io/client-go/pkg/version.gitVersion":          k3sVersion,
		},
	},
	{Name: "containerd-shim-runc-v2", Minutes: 0.1, Module: "kubernetes",
		Package: "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", Tags: kubernetesTags},
	{Name: "coredns", Minutes: 0.3, Module: "kubernetes", Package: "./coredns", Tags: kubernetesTags},
	{Name: "local-path-provisioner", Minutes: 0.5, Module: "local-path-provisioner",
		Package: "github.com/rancher/local-path-provisioner", Tags: kubernetesTags},
	{
		Name: "traefik", Minutes: 2, Module: "traefik", Package: "github.com/traefik/traefik/v3/cmd/traefik",
		Tags: kubernetesTags, Trimmed: trimmedTraefik,
		Variables: map[string]string{"github.com/traefik/traefik/v3/pkg/version.Version": traefikVersion},
	},
	{Name: "runc", Minutes: 0.4, Module: "runc", Package: "github.com/opencontainers/runc",
		Tags: []string{"seccomp", "apparmor"}},
	{Name: "pause", Minutes: 0.1, Module: "pause", Package: "."},
	{Name: "buildkitd", Minutes: 1.6, Module: "pulumi", Package: "github.com/moby/buildkit/cmd/buildkitd"},
	{Name: "registry", Minutes: 0.6, Module: "registry", Package: "."},

	{
		Name: "pulumi", Minutes: 5, Module: "pulumi", Package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
		Variables: map[string]string{"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": "v" +
			PulumiVersion},
	},
	{
		Name: "pulumi-resource-docker-build", Minutes: 1.4, Module: "pulumi",
		Package:   "github.com/pulumi/pulumi-docker-build/provider/cmd/pulumi-resource-docker-build",
		Variables: map[string]string{"github.com/pulumi/pulumi-docker-build/provider.Version": DockerBuildPluginVersion},
	},
	{Name: "pulumi-language-go", Minutes: 0.9, Module: "language-go",
		Package: "github.com/pulumi/pulumi/sdk/go/pulumi-language-go/v3"},
	{
		Name: "pulumi-resource-kubernetes", Minutes: 1, Module: "kubernetes", Package: "./plugin",
		Tags:      kubernetesTags,
		Variables: map[string]string{"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version": KubernetesPluginVersion},
		prepare:   prepareKubernetesPlugin,
	},
}

// Architecture is what the tools are compiled for.
const Architecture = runtime.GOARCH

// IsPulumi tells the tools that work with any cluster from those that make one.
func (t Tool) IsPulumi() bool { return strings.HasPrefix(t.Name, "pulumi") }

// Pulumi lists what is needed for a cluster that is there already.
func Pulumi() []Tool {
	return slices.DeleteFunc(slices.Clone(All), func(t Tool) bool { return !t.IsPulumi() })
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

// Package tools gets the programs that a lab runs: from PATH, from their projects' releases, or compiled from
// the Go modules that the folders beside it pin.
package tools

import (
	"context"
	"runtime"
	"slices"
	"strings"
)

// Tool is a program that the lab runs.
type Tool struct {
	// Name is the name of the binary.
	Name string
	// Module is the folder with the go.mod that pins the tool, Package the package to compile there.
	Module, Package string
	// Tags are build tags beside commonTags, Variables the values that the linker sets.
	Tags      []string
	Variables map[string]string
	// Minutes is the processor time that compiling it takes, after the tools before it.
	Minutes float64
	// Trimmed are modules that are compiled from trimmed copies.
	Trimmed []trimmed
	// prepare makes files that the module needs and that are not committed.
	prepare func(ctx context.Context, dir string, env []string) error
}

// kubernetesTags are the tags of k3s's own build.
var kubernetesTags = []string{
	"ctrd", "providerless", "urfave_cli_no_docs", "sqlite_omit_load_extension", "no_stage",
}

// All lists the tools in the order in which they are compiled. Tools of one module share compiled packages.
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
		Variables: map[string]string{
			"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": "v" + PulumiVersion,
		},
	},
	{
		Name: "pulumi-resource-docker-build", Minutes: 1.4, Module: "pulumi",
		Package: "github.com/pulumi/pulumi-docker-build/provider/cmd/pulumi-resource-docker-build",
		Variables: map[string]string{
			"github.com/pulumi/pulumi-docker-build/provider.Version": DockerBuildPluginVersion,
		},
	},
	{Name: "pulumi-language-go", Minutes: 0.9, Module: "language-go",
		Package: "github.com/pulumi/pulumi/sdk/go/pulumi-language-go/v3"},
	{
		Name: "pulumi-resource-kubernetes", Minutes: 1, Module: "kubernetes", Package: "./plugin",
		Tags: kubernetesTags, prepare: prepareKubernetesPlugin,
		Variables: map[string]string{
			"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version": KubernetesPluginVersion,
		},
	},
}

// Names of the operator of Postgres, and of the plugin that archives for it.
const (
	CloudNativePG = "cloudnative-pg"
	BarmanCloud   = "plugin-barman-cloud"
)

// Optional lists the tools that are needed only for images that some stacks have.
var Optional = []Tool{
	{Name: CloudNativePG, Minutes: 9, Module: "cloudnative-pg",
		Package: "github.com/cloudnative-pg/cloudnative-pg/cmd/manager"},
	{Name: BarmanCloud, Minutes: 0.5, Module: "cloudnative-pg",
		Package: "github.com/cloudnative-pg/plugin-barman-cloud/cmd/manager"},
}

// Architecture is what the tools are compiled for.
const Architecture = runtime.GOARCH

// IsPulumi reports whether a tool is a part of Pulumi, and not of the cluster.
func (t Tool) IsPulumi() bool { return strings.HasPrefix(t.Name, "pulumi") }

// Pulumi lists the tools that deploy to an existing cluster.
func Pulumi() []Tool {
	return slices.DeleteFunc(slices.Clone(All), func(t Tool) bool { return !t.IsPulumi() })
}

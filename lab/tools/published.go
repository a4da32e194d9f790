package tools

import (
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/releases"
)

// Versions that only releases need. TestReleasesAreThePinnedVersions keeps them in line with go.mod.
const (
	runcVersion     = "1.4.4"  // renovate: opencontainers/runc
	buildkitVersion = "0.31.1" // renovate: moby/buildkit
	registryVersion = "3.1.2"  // renovate: distribution/distribution
	corednsVersion  = "1.13.1" // renovate: coredns/coredns
	traefikVersion  = "3.6.12" // renovate: traefik/traefik
)

// Release is a file that a project publishes, with one or more of the tools in it: the program itself, an
// archive, or a k3s that extracts its programs itself.
type Release struct {
	releases.Asset
	Tools          []Member
	SelfExtracting bool
	// AskVersion is the argument that makes the first tool print its version, and Says a word in the first line
	// of its answer. Pulumi's plugins have none, so they are not looked for on PATH.
	AskVersion, Says string
}

// Member is a tool and its path in an archive.
type Member struct{ Tool, Path string }

func (r Release) isArchive() bool {
	return strings.HasSuffix(r.Name, ".tar.gz") || strings.HasSuffix(r.Name, ".tgz")
}

// Published lists the releases for an architecture. It is empty for an architecture that not all projects
// publish for. Each project's release workflow names its files.
func Published(architecture string) []Release {
	if architecture != "amd64" && architecture != "arm64" {
		return nil
	}
	asset := func(repository, tag, name string, checksums ...string) releases.Asset {
		fill := strings.NewReplacer("VERSION", strings.TrimPrefix(tag, "v"), "ARCH", architecture,
			"X64", strings.Replace(architecture, "amd64", "x64", 1)) // Pulumi's spelling
		for i := range checksums {
			checksums[i] = fill.Replace(checksums[i])
		}
		return releases.Asset{Repository: "github.com/" + repository, Tag: tag, Name: fill.Replace(name),
			Checksums: checksums}
	}
	plugin := func(name, version string) Release {
		tool := "pulumi-resource-" + name
		return Release{
			Asset: asset("pulumi/pulumi-"+name, "v"+version, tool+"-vVERSION-linux-ARCH.tar.gz",
				"pulumi-"+name+"_VERSION_checksums.txt"),
			Tools: []Member{{tool, tool}},
		}
	}
	k3s := strings.TrimSuffix("k3s-"+architecture, "-amd64") // k3s's spelling
	return []Release{
		{
			Asset: asset("pulumi/pulumi", "v"+PulumiVersion, "pulumi-vVERSION-linux-X64.tar.gz",
				"pulumi-VERSION-checksums.txt"),
			Tools:      []Member{{"pulumi", "pulumi/pulumi"}, {"pulumi-language-go", "pulumi/pulumi-language-go"}},
			AskVersion: "version", Says: "v" + PulumiVersion,
		},
		plugin("kubernetes", KubernetesPluginVersion),
		plugin("docker-build", DockerBuildPluginVersion),
		{
			Asset:      asset("k3s-io/k3s", k3sVersion, k3s, "sha256sum-ARCH.txt"),
			Tools:      []Member{{Tool: "k3s"}, {Tool: "containerd-shim-runc-v2"}},
			AskVersion: "--version", Says: k3sVersion, SelfExtracting: true,
		},
		{
			Asset:      asset("opencontainers/runc", "v"+runcVersion, "runc.ARCH", "runc.sha256sum"),
			Tools:      []Member{{Tool: "runc"}},
			AskVersion: "--version", Says: runcVersion,
		},
		{
			Asset: asset("moby/buildkit", "v"+buildkitVersion, "buildkit-vVERSION.linux-ARCH.tar.gz",
				"buildkit-vVERSION.linux-ARCH.provenance.json", "buildkit-vVERSION.linux-ARCH.sigstore.json"),
			Tools:      []Member{{"buildkitd", "bin/buildkitd"}},
			AskVersion: "--version", Says: "v" + buildkitVersion,
		},
		{
			Asset: asset("distribution/distribution", "v"+registryVersion, "registry_VERSION_linux_ARCH.tar.gz",
				"registry_VERSION_linux_ARCH.tar.gz.sha256"),
			Tools:      []Member{{"registry", "registry"}},
			AskVersion: "--version", Says: "v" + registryVersion,
		},
		{
			Asset: asset("coredns/coredns", "v"+corednsVersion, "coredns_VERSION_linux_ARCH.tgz",
				"coredns_VERSION_linux_ARCH.tgz.sha256"),
			Tools:      []Member{{"coredns", "coredns"}},
			AskVersion: "-version", Says: "CoreDNS-" + corednsVersion,
		},
		{
			Asset: asset("traefik/traefik", "v"+traefikVersion, "traefik_vVERSION_linux_ARCH.tar.gz",
				"traefik_vVERSION_checksums.txt"),
			Tools:      []Member{{"traefik", "traefik"}},
			AskVersion: "version", Says: traefikVersion,
		},
	}
}

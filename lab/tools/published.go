package tools

import (
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/releases"
)

// Versions of tools that nothing but their release names; TestReleasesAreThePinnedVersions keeps them in line
// with go.mod.
const (
	runcVersion     = "1.4.4"  // renovate: opencontainers/runc
	buildkitVersion = "0.31.1" // renovate: moby/buildkit
	registryVersion = "3.1.2"  // renovate: distribution/distribution
	corednsVersion  = "1.13.1" // renovate: coredns/coredns
	traefikVersion  = "3.6.12" // renovate: traefik/traefik
)

// Publication is a file that a project publishes, with one or more of the tools in it.
type Publication struct {
	releases.Release
	releases.File
	// Tools are where the file has each tool; the first one's version is that of all.
	Tools []Member
	Form  Form
	// version makes the first tool say its version, with says among the words of its first line.
	// Tools that do not say theirs are not looked for on PATH.
	version, says string
}

// Form is how a file has its tools.
type Form int

// Program is a file that is the tool itself, Archive a tar compressed with gzip,
// and SelfExtracting a k3s, which brings its own tools.
const (
	Program Form = iota
	Archive
	SelfExtracting
)

// Member is a tool and the path that an archive has it at.
type Member struct{ Tool, Path string }

// Published lists the releases for an architecture in Go's spelling; nothing for one that not all projects
// publish for. The names of files are those of each project's release workflow.
func Published(architecture string) []Publication {
	if architecture != "amd64" && architecture != "arm64" {
		return nil
	}
	// Two projects have a spelling of their own.
	x64 := strings.Replace(architecture, "amd64", "x64", 1)
	k3s := strings.TrimSuffix("k3s-"+architecture, "-amd64")
	return []Publication{
		{
			Release: releases.Release{Repository: "github.com/pulumi/pulumi", Tag: "v" + PulumiVersion},
			File: releases.File{Name: "pulumi-v" + PulumiVersion + "-linux-" + x64 + ".tar.gz",
				Checksums: []string{"pulumi-" + PulumiVersion + "-checksums.txt"}},
			Tools:   []Member{{"pulumi", "pulumi/pulumi"}, {"pulumi-language-go", "pulumi/pulumi-language-go"}},
			version: "version", says: "v" + PulumiVersion, Form: Archive,
		},
		plugin("kubernetes", KubernetesPluginVersion, architecture),
		plugin("docker-build", DockerBuildPluginVersion, architecture),
		{
			Release: releases.Release{Repository: "github.com/k3s-io/k3s", Tag: k3sVersion},
			File:    releases.File{Name: k3s, Checksums: []string{"sha256sum-" + architecture + ".txt"}},
			Tools:   []Member{{Tool: "k3s"}, {Tool: "containerd-shim-runc-v2"}},
			version: "--version", says: k3sVersion, Form: SelfExtracting,
		},
		{
			Release: releases.Release{Repository: "github.com/opencontainers/runc", Tag: "v" + runcVersion},
			File:    releases.File{Name: "runc." + architecture, Checksums: []string{"runc.sha256sum"}},
			Tools:   []Member{{Tool: "runc"}},
			version: "--version", says: runcVersion,
		},
		{
			Release: releases.Release{Repository: "github.com/moby/buildkit", Tag: "v" + buildkitVersion},
			File: releases.File{Name: "buildkit-v" + buildkitVersion + ".linux-" + architecture + ".tar.gz",
				Checksums: []string{
					"buildkit-v" + buildkitVersion + ".linux-" + architecture + ".provenance.json",
					"buildkit-v" + buildkitVersion + ".linux-" + architecture + ".sigstore.json",
				}},
			Tools:   []Member{{"buildkitd", "bin/buildkitd"}},
			version: "--version", says: "v" + buildkitVersion, Form: Archive,
		},
		{
			Release: releases.Release{Repository: "github.com/distribution/distribution", Tag: "v" + registryVersion},
			File: releases.File{
				Name:      "registry_" + registryVersion + "_linux_" + architecture + ".tar.gz",
				Checksums: []string{"registry_" + registryVersion + "_linux_" + architecture + ".tar.gz.sha256"},
			},
			Tools:   []Member{{"registry", "registry"}},
			version: "--version", says: "v" + registryVersion, Form: Archive,
		},
		{
			Release: releases.Release{Repository: "github.com/coredns/coredns", Tag: "v" + corednsVersion},
			File: releases.File{
				Name:      "coredns_" + corednsVersion + "_linux_" + architecture + ".tgz",
				Checksums: []string{"coredns_" + corednsVersion + "_linux_" + architecture + ".tgz.sha256"},
			},
			Tools:   []Member{{"coredns", "coredns"}},
			version: "-version", says: "CoreDNS-" + corednsVersion, Form: Archive,
		},
		{
			Release: releases.Release{Repository: "github.com/traefik/traefik", Tag: "v" + traefikVersion},
			File: releases.File{
				Name:      "traefik_v" + traefikVersion + "_linux_" + architecture + ".tar.gz",
				Checksums: []string{"traefik_v" + traefikVersion + "_checksums.txt"},
			},
			Tools:   []Member{{"traefik", "traefik"}},
			version: "version", says: traefikVersion, Form: Archive,
		},
	}
}

// plugin is one of Pulumi's; they do not say their version.
func plugin(name, version, architecture string) Publication {
	tool := "pulumi-resource-" + name
	return Publication{
		Release: releases.Release{Repository: "github.com/pulumi/pulumi-" + name, Tag: "v" + version},
		File: releases.File{
			Name:      tool + "-v" + version + "-linux-" + architecture + ".tar.gz",
			Checksums: []string{"pulumi-" + name + "_" + version + "_checksums.txt"},
		},
		Tools: []Member{{tool, tool}}, Form: Archive,
	}
}

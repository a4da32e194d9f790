package tools

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFilesHaveTheNamesThatProjectsGiveThem(t *testing.T) {
	assert.Equal(t, []string{
		"github.com/pulumi/pulumi v3.259.0 pulumi-v3.259.0-linux-x64.tar.gz [pulumi-3.259.0-checksums.txt]",
		"github.com/pulumi/pulumi-kubernetes v4.25.0 pulumi-resource-kubernetes-v4.25.0-linux-amd64.tar.gz [pulumi-kubernetes_4.25.0_checksums.txt]",
		"github.com/pulumi/pulumi-docker-build v0.0.22 pulumi-resource-docker-build-v0.0.22-linux-amd64.tar.gz [pulumi-docker-build_0.0.22_checksums.txt]",
		"github.com/k3s-io/k3s v1.35.0+k3s1 k3s [sha256sum-amd64.txt]",
		"github.com/opencontainers/runc v1.4.4 runc.amd64 [runc.sha256sum]",
		"github.com/moby/buildkit v0.31.1 buildkit-v0.31.1.linux-amd64.tar.gz [buildkit-v0.31.1.linux-amd64.provenance.json buildkit-v0.31.1.linux-amd64.sigstore.json]",
		"github.com/distribution/distribution v3.1.2 registry_3.1.2_linux_amd64.tar.gz [registry_3.1.2_linux_amd64.tar.gz.sha256]",
		"github.com/coredns/coredns v1.13.1 coredns_1.13.1_linux_amd64.tgz [coredns_1.13.1_linux_amd64.tgz.sha256]",
		"github.com/traefik/traefik v3.6.12 traefik_v3.6.12_linux_amd64.tar.gz [traefik_v3.6.12_checksums.txt]",
	}, names("amd64"))
	arm := names("arm64")
	assert.Contains(t, arm[0], "linux-arm64.tar.gz")
	assert.Contains(t, arm[3], " k3s-arm64 [sha256sum-arm64.txt]")
	for _, name := range arm {
		assert.NotContains(t, name, "amd64")
	}
	assert.Empty(t, names("riscv64"))
}

func names(architecture string) (all []string) {
	for _, p := range Published(architecture) {
		all = append(all, fmt.Sprint(p.Repository, " ", p.Tag, " ", p.Name, " ", p.Checksums))
	}
	return all
}

// k3s is like a released one: it unpacks its programs where K3S_DATA_DIR says before it runs one of them.
func k3s(t *testing.T, version string) (published Publication, file, dir string) {
	t.Helper()
	carried := t.TempDir()
	for _, name := range []string{"k3s", "containerd-shim-runc-v2"} {
		require.NoError(t, os.WriteFile(filepath.Join(carried, name),
			greeting(t, "k3s version "+version+" (0badf00d)", name), 0o755))
	}
	file = filepath.Join(t.TempDir(), "k3s")
	script := "#!/bin/sh -e\n[ \"$*\" = 'kubectl version --client' ]\nmkdir -p $K3S_DATA_DIR/data/1234\nln -s 1234 $K3S_DATA_DIR/data/current\ncp -r " + carried + " $K3S_DATA_DIR/data/1234/bin\n"
	require.NoError(t, os.WriteFile(file, []byte(script), 0o755))
	return Publication{
		Tools: []Member{{Tool: "k3s"}, {Tool: "containerd-shim-runc-v2"}}, Form: SelfExtracting,
		version: "--version", says: "v1.35.0+k3s1",
	}, file, t.TempDir()
}

func TestAReleasedK3sExtractsItself(t *testing.T) {
	p, file, dir := k3s(t, "v1.35.0+k3s1")
	require.NoError(t, p.unpack(t.Context(), file, dir))
	for _, m := range p.Tools {
		assert.Contains(t, say(t, filepath.Join(dir, m.Tool)), m.Tool)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 2)
}

func TestAK3sOfAnotherVersionIsNotTaken(t *testing.T) {
	p, file, dir := k3s(t, "v1.35.0+k3s2")
	require.EqualError(t, p.unpack(t.Context(), file, dir), "it extracted no k3s v1.35.0+k3s1")
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\necho no room >&2\nexit 1\n"), 0o755))
	require.ErrorContains(t, p.unpack(t.Context(), file, dir),
		"having it extract itself: exit status 1: no room")
}

func TestAScriptIsNotTakenForK3s(t *testing.T) {
	p, _, dir := k3s(t, "v1.35.0+k3s1")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "k3s"),
		[]byte("#!/bin/sh\necho k3s version v1.35.0+k3s1\n"), 0o755))
	t.Setenv("PATH", dir)
	_, ok := p.onPath(t.Context())
	assert.False(t, ok)
}

func TestReleasesAreThePinnedVersions(t *testing.T) {
	pins := map[string]bool{}
	for _, tool := range All {
		content, err := os.ReadFile(filepath.Join(tool.Module, "go.mod"))
		require.NoError(t, err)
		for _, line := range strings.Split(string(content), "\n") {
			if fields := strings.Fields(strings.TrimPrefix(line, "require ")); len(fields) > 1 {
				pins[fields[0]+" "+fields[1]] = true
			}
		}
	}
	commits := map[string]string{ // tagged with these versions
		"github.com/k3s-io/k3s v1.35.0+k3s1":          "github.com/k3s-io/k3s v1.35.0-rc1.0.20251218152248-a6c6cd15c0c4",
		"github.com/pulumi/pulumi-kubernetes v4.25.0": "github.com/pulumi/pulumi-kubernetes/provider/v4 v4.0.0-20260115033456-f47bc2d6f199",
		"github.com/pulumi/pulumi v3.259.0":           "github.com/pulumi/pulumi/pkg/v3 v3.259.0",
		"github.com/distribution/distribution v3.1.2": "github.com/distribution/distribution/v3 v3.1.2",
		"github.com/traefik/traefik v3.6.12":          "github.com/traefik/traefik/v3 v3.6.12",
	}
	for _, architecture := range []string{"amd64", "arm64"} {
		from := Published(architecture)
		assert.Len(t, from, 9)
		for _, p := range from {
			pin := p.Repository + " " + p.Tag
			if commit, ok := commits[pin]; ok {
				pin = commit
			}
			assert.True(t, pins[pin], "%s is not what the tool is compiled from", pin)
			for _, m := range p.Tools {
				assert.True(t, p.has(m.Tool) && isTool(m.Tool), m.Tool)
			}
		}
	}
}

func isTool(name string) bool {
	for _, tool := range All {
		if tool.Name == name {
			return true
		}
	}
	return false
}

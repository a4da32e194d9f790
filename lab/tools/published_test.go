package tools

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFilesAreNamedAsProjectsNameThem(t *testing.T) {
	names := func(architecture string) string {
		var all []string
		for _, r := range Published(architecture) {
			all = append(all, fmt.Sprint(r.Repository, " ", r.Tag, " ", r.Name, " ", r.Checksums))
		}
		return strings.Join(all, "\n")
	}
	for architecture, some := range map[string][]string{
		"amd64": {
			"github.com/pulumi/pulumi v3.259.0 pulumi-v3.259.0-linux-x64.tar.gz [pulumi-3.259.0-checksums.txt]",
			"github.com/k3s-io/k3s v1.35.0+k3s1 k3s [sha256sum-amd64.txt]",
		},
		"arm64":   {"pulumi-v3.259.0-linux-arm64.tar.gz", " k3s-arm64 [sha256sum-arm64.txt]"},
		"riscv64": {""},
	} {
		for _, name := range some {
			assert.Contains(t, names(architecture), name)
		}
		assert.NotRegexp(t, "VERSION|ARCH|X64", names(architecture))
	}
	assert.NotContains(t, names("arm64"), "amd64")
}

// k3s returns a file that extracts its programs into K3S_DATA_DIR before it runs one of them, as k3s does.
func k3s(t *testing.T, version string) (release Release, file, dir string) {
	t.Helper()
	carried := t.TempDir()
	for _, name := range []string{"k3s", "containerd-shim-runc-v2"} {
		require.NoError(t, os.WriteFile(filepath.Join(carried, name),
			greeting(t, "k3s version "+version+" (0badf00d)", name), 0o755))
	}
	file = filepath.Join(t.TempDir(), "k3s")
	script := `#!/bin/sh -e
[ "$*" = "kubectl version --client" ]
mkdir -p $K3S_DATA_DIR/data/1234
ln -s 1234 $K3S_DATA_DIR/data/current
cp -r ` + carried + " $K3S_DATA_DIR/data/1234/bin\n"
	require.NoError(t, os.WriteFile(file, []byte(script), 0o755))
	return Release{
		Tools: []Member{{Tool: "k3s"}, {Tool: "containerd-shim-runc-v2"}}, SelfExtracting: true,
		AskVersion: "--version", Says: "v1.35.0+k3s1",
	}, file, t.TempDir()
}

func TestAReleasedK3sExtractsItself(t *testing.T) {
	p, file, dir := k3s(t, "v1.35.0+k3s1")
	require.NoError(t, p.unpack(t.Context(), file, dir))
	for _, m := range p.Tools {
		assert.Contains(t, say(t, filepath.Join(dir, m.Tool)), m.Tool)
	}
}

func TestAK3sOfAnotherVersionIsNotTaken(t *testing.T) {
	p, file, dir := k3s(t, "v1.35.0+k3s2")
	require.EqualError(t, p.unpack(t.Context(), file, dir), "it extracted no k3s v1.35.0+k3s1")
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\necho no room >&2\nexit 1\n"), 0o755))
	require.ErrorContains(t, p.unpack(t.Context(), file, dir),
		"it does not extract itself: exit status 1: no room")
}

func TestAScriptIsNotTakenForK3s(t *testing.T) {
	p, _, dir := k3s(t, "v1.35.0+k3s1")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "k3s"),
		[]byte("#!/bin/sh\necho k3s version v1.35.0+k3s1\n"), 0o755))
	t.Setenv("PATH", dir)
	assert.Empty(t, p.onPath(t.Context()))
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
		"github.com/k3s-io/k3s v1.35.0+k3s1": "github.com/k3s-io/k3s v1.35.0-rc1.0.20251218152248-a6c6cd15c0c4",
		"github.com/pulumi/pulumi-kubernetes v4.25.0": "github.com/pulumi/pulumi-kubernetes/provider/v4 " +
			"v4.0.0-20260115033456-f47bc2d6f199",
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
				assert.True(t, slices.ContainsFunc(All, func(t Tool) bool { return t.Name == m.Tool }), m.Tool)
			}
		}
	}
}

package e2e

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestALabFromReleasesAndPulledImages has a server on this machine in the place of the projects' releases and
// of Docker Hub.
func TestALabFromReleasesAndPulledImages(t *testing.T) {
	const second = "second"
	cache := t.TempDir()
	t.Cleanup(func() { run(t, makeCommand(checkout, "lab-delete", second)) })
	up := command(checkout, ".lab/lab", "--name", second, "--cache", cache, "up")
	up.Env = append(os.Environ(), mirror(t)...)
	var said strings.Builder
	up.Stderr = &said
	require.NoError(t, up.Run(), "%s", &said)

	assert.Len(t, daemons(second), 4)
	assert.Contains(t, said.String(), `msg=downloaded tool="k3s and containerd-shim-runc-v2"`)
	assert.Contains(t, said.String(), "msg=pulled image=redis:8")
	for _, made := range []string{"compil", "assembl"} {
		assert.NotContains(t, said.String(), "msg="+made)
	}
	kubectl := command(checkout, filepath.Join(".lab", second, "bin", "kubectl"), "--kubeconfig",
		filepath.Join(labs, second, "kubeconfig"),
		"--namespace", "kube-system", "get", "addons.k3s.cattle.io", "--output", "name")
	assert.Equal(t, []string{"ccm", "coredns", "lab-storage", "lab-traefik", "rolebindings"},
		strings.Fields(strings.ReplaceAll(run(t, kubectl), "addon.k3s.cattle.io/", "")), "what k3s deploys")
}

// mirror serves this machine's cache until the test ends, and returns the settings that lead to it.
func mirror(t *testing.T) []string {
	t.Helper()
	serve := command(filepath.Join(checkout, "lab"), "go", "run", "./mirror")
	input, err := serve.StdinPipe()
	require.NoError(t, err)
	output, err := serve.StdoutPipe()
	require.NoError(t, err)
	serve.Stderr = os.Stderr
	require.NoError(t, serve.Start())
	t.Cleanup(func() {
		require.NoError(t, input.Close())
		require.NoError(t, serve.Wait())
	})
	var settings []string
	for lines := bufio.NewScanner(output); len(settings) < 2 && lines.Scan(); {
		settings = append(settings, lines.Text())
	}
	require.Len(t, settings, 2, "the mirror does not serve")
	return settings
}

package stack

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// withState puts a pulumi on PATH with the kubeconfig in its state, and a kubectl that prints how it is
// called.
func withState(t *testing.T, kubeconfig any) layout.Lab {
	t.Helper()
	dir := t.TempDir()
	state, err := json.Marshal(map[string]any{"deployment": map[string]any{"resources": []any{
		map[string]any{"type": "pulumi:pulumi:Stack"},
		map[string]any{"type": "pulumi:providers:kubernetes", "inputs": map[string]any{"kubeconfig": kubeconfig}},
	}}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "state"), state, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "infra"), 0o700))
	for name, script := range map[string]string{
		"pulumi": "cat " + dir + "/state", "kubectl": `echo "$@"; pwd; cat "$2"`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	lab, err := layout.New("dev", dir, dir)
	require.NoError(t, err)
	return lab
}

func login(script string) string {
	return "users: [{name: user, user: {exec: {command: sh, args: [-c, " + script + "]}}}]"
}

func TestAStackOnAnotherClusterIsLeftAlone(t *testing.T) {
	lab := withState(t, login(`"pwd >where; echo '{\"kind\": \"ExecCredential\"}'"`))
	require.NoError(t, CheckCluster(t.Context(), lab))
	where, err := os.ReadFile(filepath.Join(lab.Checkout, "infra", "where"))
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(lab.Checkout, "infra")+"\n", string(where),
		"the folder where Pulumi's plugins run")

	for _, ends := range []string{`exit 1`, `echo '{\"kind\": \"another cluster\"}'`} {
		lab = withState(t, login(`"echo this stack is on another cluster >&2; `+ends+`"`))
		require.EqualError(t, CheckCluster(t.Context(), lab),
			"the stack dev cannot be reached: this stack is on another cluster")
	}
	for name, kubeconfig := range map[string]any{
		"before the first update":   nil,
		"of an earlier version":     "",
		"with a login of its own":   "users: [{name: user, user: {token: x}}]",
		"of the settings, a secret": map[string]string{"ciphertext": "v1:abc"},
	} {
		t.Run(name, func(t *testing.T) { require.NoError(t, CheckCluster(t.Context(), withState(t, kubeconfig))) })
	}
}

func TestKubectlGoesToTheClusterOfTheState(t *testing.T) {
	for _, kubeconfig := range []any{"apiVersion: v1", map[string]string{"plaintext": `"apiVersion: v1"`}} {
		lab := withState(t, kubeconfig)
		kubectl, err := findCluster(t.Context(), lab)
		require.NoError(t, err)
		said, err := output(kubectl.kubectl(t.Context(), "get", "namespaces"))
		require.NoError(t, err)
		lines := strings.Split(said, "\n")
		assert.Equal(t, []string{"--kubeconfig " + kubectl.kubeconfig + " get namespaces",
			filepath.Join(lab.Checkout, "infra"), "apiVersion: v1"}, lines)
		kubectl.close()
		assert.NoFileExists(t, kubectl.kubeconfig)
	}
	kubectl, err := findCluster(t.Context(), withState(t, ""))
	require.NoError(t, err)
	assert.Equal(t, []string{"kubectl", "get", "namespaces"},
		kubectl.kubectl(t.Context(), "get", "namespaces").Args)
}

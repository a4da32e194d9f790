package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

const (
	kubeconfigA = `{current-context: a, contexts: [{name: a, context: {cluster: one}}, {name: b, context: {cluster: two}}], clusters: [{name: one, cluster: {server: "https://one:6443"}}]}`
	kubeconfigB = `{current-context: b, clusters: [{name: one, cluster: {server: "https://not-this"}}, {name: two, cluster: {server: "https://two:6443"}}]}`
)

// own are files of kubeconfigs, and a lab with settings of its stack.
func own(t *testing.T, settings string) (kubeconfig string, lab layout.Lab) {
	t.Helper()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	require.NoError(t, os.WriteFile(a, []byte(kubeconfigA), 0o600))
	require.NoError(t, os.WriteFile(b, []byte(kubeconfigB), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.dev.yaml"), []byte(settings), 0o600))
	lab, err := layout.New("dev", dir, dir)
	require.NoError(t, err)
	return strings.Join([]string{"/nowhere", a, b}, ":"), lab
}

func TestWhichClusterIsTheUsersOwn(t *testing.T) {
	for settings, want := range map[string]string{
		"":                                      "the cluster https://one:6443 (context a of ",
		"config: {}":                            "the cluster https://one:6443 (context a of ",
		"config: {stateful-k3s:kubeContext: b}": "the cluster https://two:6443 (context b of ",
		"config: {stateful-k3s:kubeconfigFrom: alice/cluster/prod/kubeconfig}": "the cluster of the setting kubeconfigFrom of the stack dev",
		"config: {stateful-k3s:kubeconfig: {secure: v1:abc}}":                  "the cluster of the setting kubeconfig of the stack dev",
	} {
		kubeconfig, lab := own(t, settings)
		is, err := describeOwn(lab, kubeconfig)
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(is, want), is)
	}
	kubeconfig, lab := own(t, "config: {stateful-k3s:kubeContext: c}")
	_, err := describeOwn(lab, kubeconfig)
	require.EqualError(t, err, "your KUBECONFIG "+kubeconfig+
		" leads to no cluster: kubectl config get-contexts shows those there are; for a lab: unset KUBECONFIG")
}

func TestTheUsersOwnClusterIsUsedOnlyIfTheySaySo(t *testing.T) {
	kubeconfig, lab := own(t, "")
	nobody, err := os.Open(os.DevNull)
	require.NoError(t, err)
	t.Cleanup(func() { _ = nobody.Close() })
	require.NoError(t, agree(lab, kubeconfig, true, nobody))
	require.EqualError(t, agree(lab, kubeconfig, false, nobody),
		"nobody is there to say that this cluster is meant, and nothing was done. For a lab: unset KUBECONFIG. To go on there: YES=1")
	for answer, yes := range map[string]bool{"yes\n": true, "yes": true, "": false, "\n": false, "y\n": false,
		"no\n": false, "no\nyes\n": false} {
		assert.Equal(t, yes, meant(strings.NewReader(answer)), "%q", answer)
	}
}

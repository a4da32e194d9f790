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
	kubeconfigA = `{current-context: a,
contexts: [{name: a, context: {cluster: one}}, {name: b, context: {cluster: two}}],
clusters: [{name: one, cluster: {server: "https://one:6443"}}]}`
	kubeconfigB = `{current-context: b,
clusters: [{name: one, cluster: {server: "https://not-this"}},
  {name: two, cluster: {server: "https://two:6443"}}]}`
)

// kubeconfigs writes two kubeconfigs, and the settings of a lab's stack.
func kubeconfigs(t *testing.T, settings string) (kubeconfig string, lab layout.Lab) {
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

func TestTheUsersClusterIsNamed(t *testing.T) {
	for settings, want := range map[string]string{
		"":                                      "the cluster https://one:6443 (context a of ",
		"config: {}":                            "the cluster https://one:6443 (context a of ",
		"config: {stateful-k3s:kubeContext: b}": "the cluster https://two:6443 (context b of ",
		"config: {stateful-k3s:kubeconfigFrom: alice/cluster/prod/kubeconfig}": "the cluster of the setting " +
			"kubeconfigFrom of the stack dev",
		"config: {stateful-k3s:kubeconfig: {secure: v1:abc}}": "the cluster of the setting kubeconfig of the stack",
	} {
		t.Run(settings, func(t *testing.T) {
			kubeconfig, lab := kubeconfigs(t, settings)
			named, err := describeCluster(lab, kubeconfig)
			require.NoError(t, err)
			assert.True(t, strings.HasPrefix(named, want), named)
		})
	}
	kubeconfig, lab := kubeconfigs(t, "config: {stateful-k3s:kubeContext: c}")
	_, err := describeCluster(lab, kubeconfig)
	require.EqualError(t, err, "your KUBECONFIG "+kubeconfig+
		" leads to no cluster: kubectl config get-contexts shows the contexts; for a lab: unset KUBECONFIG")
}

func TestTheUsersClusterIsFoundFromAnyFolder(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	for set, want := range map[string]string{
		"":                                 "",
		"config":                           folder + "/config",
		"../config:/b":                     filepath.Dir(folder) + "/config:/b",
		"a::b":                             folder + "/a::" + folder + "/b",
		layout.Root + "/dev/kubeconfig":    "",
		layout.Root + "/../own/kubeconfig": "/var/lib/own/kubeconfig",
	} {
		t.Setenv("KUBECONFIG", set)
		assert.Equal(t, want, existingCluster(), set)
	}
}

func TestTheUsersClusterIsUsedOnlyIfTheyAgree(t *testing.T) {
	kubeconfig, lab := kubeconfigs(t, "")
	nobody, err := os.Open(os.DevNull)
	require.NoError(t, err)
	t.Cleanup(func() { _ = nobody.Close() })
	require.NoError(t, confirmCluster(lab, kubeconfig, true, nobody))
	require.EqualError(t, confirmCluster(lab, kubeconfig, false, nobody),
		"there is no terminal to confirm this cluster on, "+
			"and nothing was done. For a lab: unset KUBECONFIG. To use it: YES=1")
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTestsLeaveTheUsersOwnClusterAlone(t *testing.T) {
	dir := t.TempDir()
	said, mock := filepath.Join(dir, "said"), filepath.Join(dir, "make")
	require.NoError(t, os.WriteFile(mock,
		[]byte("#!/bin/sh\necho \"$1 with KUBECONFIG=$KUBECONFIG\" >>"+said+"\nexit 1\n"), 0o755))
	for _, target := range []string{"e2e", "screenshot"} {
		require.NoError(t, os.RemoveAll(said))
		cmd := exec.Command("make", target, "MAKE="+mock)
		cmd.Dir = ".."
		cmd.Env = append(os.Environ(), "KUBECONFIG=/home/alice/.kube/config")
		out, err := cmd.CombinedOutput()
		require.Error(t, err, string(out)) // nothing was brought up
		calls, err := os.ReadFile(said)
		require.NoError(t, err, string(out))
		assert.Equal(t, "up with KUBECONFIG=\nlab-delete with KUBECONFIG=\n", string(calls), target)
	}
}

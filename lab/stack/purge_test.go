package stack

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// commands puts a pulumi and a kubectl on PATH that note how they are called.
func commands(t *testing.T, namespaces string) (called func() string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	pulumi := `[ "$1" = about ] && echo '{"currentStack": {"fullyQualifiedName": "alice/stateful-k3s/dev"}}' && exit; echo "pulumi $*" >>` + log
	kubectl := `echo "kubectl $*" >>` + log + `; [ "$1" = get ] && printf '` + namespaces + `'; exit 0`
	for name, script := range map[string]string{"pulumi": pulumi, "kubectl": kubectl} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() string {
		said, err := os.ReadFile(log)
		require.NoError(t, err)
		return string(said)
	}
}

const asked = "kubectl get namespaces --selector stateful-k3s/stack=alice.dev --output name\n"

func TestPurgeDeletesTheNamespacesOfTheStackAndNoOthers(t *testing.T) {
	called := commands(t, `namespace/exercises\nnamespace/project\n`)
	var shown []string
	require.NoError(t, Purge(t.Context(), func(namespaces []string) bool { shown = namespaces; return true }))
	assert.Equal(t, []string{"namespace/exercises", "namespace/project"}, shown)
	assert.Equal(t, asked+"pulumi destroy --yes --skip-preview --non-interactive\nkubectl delete namespace/exercises namespace/project\n", called())
}

func TestPurgeDeletesNothingWithoutAYes(t *testing.T) {
	called := commands(t, `namespace/exercises\n`)
	require.EqualError(t, Purge(t.Context(), func([]string) bool { return false }), "nothing was deleted")
	assert.Equal(t, asked, called())
}

func TestPurgeOfNothingDoesNotAsk(t *testing.T) {
	called := commands(t, ``)
	require.NoError(t, Purge(t.Context(), func([]string) bool { t.Error("asked"); return true }))
	assert.Equal(t, asked, called())
}

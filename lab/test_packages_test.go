package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLinkIsMadeAndReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lab", "postgres-17")
	for _, target := range []string{"/first", "/first", "/second"} {
		require.NoError(t, link(target, path))
		now, err := os.Readlink(path)
		require.NoError(t, err)
		assert.Equal(t, target, now)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}

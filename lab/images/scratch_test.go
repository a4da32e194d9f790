package images

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestScratchDirsOfKilledProcessesAreRemoved(t *testing.T) {
	parent := t.TempDir()
	left := filepath.Join(parent, "partial-1")
	require.NoError(t, os.MkdirAll(filepath.Join(left, "layout"), 0o755))

	inUse, remove, err := scratchDir(parent, "partial-")
	require.NoError(t, err)
	assert.NoDirExists(t, left)

	other, removeOther, err := scratchDir(parent, "partial-")
	require.NoError(t, err)
	assert.DirExists(t, inUse, "another process works in it")

	remove()
	removeOther()
	assert.NoDirExists(t, inUse)
	assert.NoDirExists(t, other)
}

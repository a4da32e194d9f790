package preflight

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSpaceIsLookedUpWhereTheDirectoryWillBe(t *testing.T) {
	dir := t.TempDir()
	device, free := fileSystemOf(dir)
	later, freeLater := fileSystemOf(filepath.Join(dir, "not", "yet"))
	assert.Equal(t, device, later)
	assert.InDelta(t, free, freeLater, gigabyte)
}

func TestSpaceOnOneDiskAddsUp(t *testing.T) {
	dir := t.TempDir()
	_, free := fileSystemOf(dir)
	most := free / gigabyte
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	assert.Empty(t, Space{a: most / 2}.check())
	faults := Space{a: most/2 + 10, b: most/2 + 10}.check()
	require.Len(t, faults, 1)
	assert.ErrorContains(t, faults[0], " GB free for "+a+" and "+b+", and ")
}

func TestCompilingNeedsMoreSpaceAndAnExistingLabLess(t *testing.T) {
	assert.Equal(t, Space{"/state": 5}, SpaceFor(false, "/cache", "/state", false, 0))
	assert.Equal(t, Space{"/state": 5, "/cache": 20}, SpaceFor(true, "/cache", "/state", false, 0))
	assert.Equal(t, Space{"/state": 2}, SpaceFor(false, "/cache", "/state", true, 0))
	assert.Equal(t, Space{"/state": 4}, SpaceFor(false, "/cache", "/state", true, 2))
}

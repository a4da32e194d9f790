package files

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Labs share links to plugins in the cache.
func TestLabsMayReplaceTheSameFileAtTheSameTime(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "new", "file"), filepath.Join(dir, "link")
	var labs sync.WaitGroup
	for lab := range 8 {
		labs.Go(func() {
			own := strconv.Itoa(lab)
			for range 100 {
				assert.NoError(t, Write(file, []byte(own), 0o600))
				assert.NoError(t, Link(own, link))
				content, err := os.ReadFile(file)
				assert.NoError(t, err)
				assert.Len(t, content, 1)
				target, err := os.Readlink(link)
				assert.NoError(t, err)
				assert.Len(t, target, 1)
			}
		})
	}
	labs.Wait()
	for _, dir := range []string{dir, filepath.Dir(file)} {
		left, err := filepath.Glob(filepath.Join(dir, "*.new*"))
		require.NoError(t, err)
		assert.Empty(t, left)
	}
}

func TestAFileThatCannotBeReplacedLeavesNothingBeside(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "directory")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "full"), 0o700))
	require.Error(t, Write(dir, nil, 0o600))
	require.Error(t, Link("target", dir))
	left, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	assert.Len(t, left, 1)
}

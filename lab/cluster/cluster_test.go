package cluster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheOwnerReachesTheLabsDirectoryAndOthersDoNot(t *testing.T) {
	lab, _ := newLab(t)
	owner := Owner{UID: 1000, GID: 1000} // not root, which reaches everything
	require.NoError(t, makeDirs(lab, owner))
	for dir, want := range map[string]os.FileMode{filepath.Dir(lab.Dir()): 0o755, lab.Dir(): 0o700} {
		info, err := os.Stat(dir)
		require.NoError(t, err)
		assert.Equal(t, want, info.Mode().Perm(), dir)
	}
}

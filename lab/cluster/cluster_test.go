package cluster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

func TestFilesThatGoMeanwhileAreNotOwned(t *testing.T) {
	dir := t.TempDir()
	partial, stop, stopped := filepath.Join(dir, "partial"), make(chan struct{}), make(chan struct{})
	go func() { // another lab
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				assert.NoError(t, os.MkdirAll(filepath.Join(partial, "blobs"), 0o755))
				assert.NoError(t, os.RemoveAll(partial))
			}
		}
	}()
	owner := Owner{UID: os.Getuid(), GID: os.Getgid()}
	for range 5000 {
		if !assert.NoError(t, owner.Own(dir)) {
			break
		}
	}
	close(stop)
	<-stopped
}

func TestALabThatNeverStartedIsStopped(t *testing.T) {
	lab, err := layout.New("never", t.TempDir(), t.TempDir())
	require.NoError(t, err)
	t.Setenv("PATH", t.TempDir()) // the packages that a lab needs are not installed
	require.NoError(t, Down(t.Context(), lab))
}

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

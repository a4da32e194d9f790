package cluster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

func TestANewLabsBuilderHasTheCacheOfADeletedLab(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	newLab := func(name string) layout.Lab {
		lab, err := layout.New(name, "/cache", "/checkout")
		require.NoError(t, err)
		lab, err = lab.InHome()
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(lab.Dir(), 0o755))
		require.NoError(t, createBuilderDir(lab))
		return lab
	}
	kept := func(lab layout.Lab) []string {
		names, err := filepath.Glob(filepath.Join(lab.Builder(), "*"))
		require.NoError(t, err)
		for i := range names {
			names[i] = filepath.Base(names[i])
		}
		return names
	}

	first, beside := newLab("first"), newLab("beside")
	for _, lab := range []layout.Lab{first, beside} {
		require.NoError(t, os.Mkdir(filepath.Join(lab.Builder(), lab.Name), 0o755))
	}
	require.NoError(t, keepBuilderCache(first))
	require.NoError(t, keepBuilderCache(beside), "the kept cache is replaced")
	require.NoError(t, keepBuilderCache(beside), "the lab is deleted a second time")
	second, third := newLab("second"), newLab("third")
	assert.Equal(t, []string{"beside"}, kept(second))
	assert.Empty(t, kept(third), "only one lab has it")
	require.NoError(t, createBuilderDir(second))
	assert.Equal(t, []string{"beside"}, kept(second), "a lab that is there keeps its own")
}

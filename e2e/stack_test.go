package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
)

func TestSecondUpChangesAndBuildsNothing(t *testing.T) {
	c := newCluster(t)
	running := daemons(labName())
	makeUp(t)
	assert.Equal(t, running, daemons(labName()), "the lab's processes")
	image, uids := imageRef(t, "redisfiller"), c.podUIDs()

	pulumi(t, checkout, "up", "--yes", "--skip-preview", "--expect-no-changes")
	assert.Equal(t, image, imageRef(t, "redisfiller"))
	assert.Equal(t, uids, c.podUIDs())
	// An image that would be built again counts as an update.
	assert.Equal(t, []string{"same"}, slices.Collect(maps.Keys(plan(t))))
	// What the cluster adds to an object by itself is no difference either.
	pulumi(t, checkout, "refresh", "--yes", "--skip-preview", "--expect-no-changes")
}

func TestPreviewWorksWhileClusterAndBuilderAreAway(t *testing.T) {
	newCluster(t)
	config, err := clientcmd.LoadFromFile(os.Getenv("KUBECONFIG"))
	require.NoError(t, err)
	for _, cluster := range config.Clusters {
		cluster.Server = "https://127.0.0.1:1"
	}
	away := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*config, away))

	changes := plan(t, "KUBECONFIG="+away, "BUILDX_CONFIG="+t.TempDir())
	assert.Equal(t, []string{"same"}, slices.Collect(maps.Keys(changes)))
}

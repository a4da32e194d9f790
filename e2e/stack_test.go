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
	makeUp(t)
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

func TestNewImageRollsOutPodByPod(t *testing.T) {
	c := newCluster(t)
	original := imageRef(t, "redisfiller")
	ride := c.board()

	changed := copyCheckout(t)
	edit(t, filepath.Join(changed, "app/redisfiller/filler.go"), `"the train goes on"`, `"the train goes on again"`)
	fewest := c.watchReady()
	pulumiUp(t, changed)
	c.waitUntilRolledOut(statefulSet)
	assert.Equal(t, 1, fewest(), "pods that were ready at any time")
	assert.Equal(t, []string{imageRef(t, "redisfiller")}, c.fillerImages())
	assert.NotEqual(t, original, imageRef(t, "redisfiller"))
	ride.goesOn()

	// The same sources give the same image again.
	pulumiUp(t, checkout)
	c.waitUntilRolledOut(statefulSet)
	assert.Equal(t, original, imageRef(t, "redisfiller"))
}

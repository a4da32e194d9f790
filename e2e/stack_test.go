package e2e

import (
	"bufio"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
)

func TestSecondUpChangesAndBuildsNothing(t *testing.T) {
	c := newCluster(t)
	running := lab.Daemons(lab.Name())
	pulumi.MakeUp(t)
	assert.Equal(t, running, lab.Daemons(lab.Name()), "the lab's processes")
	image, uids := pulumi.Image(t, "redisfiller"), uidsOf(c)

	pulumi.Run(t, "up", "--yes", "--skip-preview", "--expect-no-changes")
	assert.Equal(t, image, pulumi.Image(t, "redisfiller"))
	assert.Equal(t, uids, uidsOf(c))
	// An image that would be built again counts as an update.
	assert.Equal(t, []string{"same"}, slices.Collect(maps.Keys(pulumi.Plan(t))))
	// Fields that the cluster adds to an object by itself are no difference either.
	pulumi.Run(t, "refresh", "--yes", "--skip-preview", "--expect-no-changes")
}

func uidsOf(c *kube.Cluster) string {
	return c.Kubectl("get", "pods", "--selector", kube.Lasting, "--output", "jsonpath={.items[*].metadata.uid}")
}

func TestPreviewWorksWhileClusterAndBuilderAreAway(t *testing.T) {
	newCluster(t)
	away := changedKubeconfig(t, serverAt("https://127.0.0.1:1"))
	changes := pulumi.Plan(t, "KUBECONFIG="+away, "BUILDX_CONFIG="+t.TempDir())
	assert.Equal(t, []string{"same"}, slices.Collect(maps.Keys(changes)))
}

// TestImagesOfAnotherStack takes the images that this stack itself has built. Pulumi forgets them, and no pod
// changes.
func TestImagesOfAnotherStack(t *testing.T) {
	newCluster(t)
	built := len(pulumi.GetOutputs(t).Images)
	output := refused(t, pulumi.Command("preview", "--config", "images="+lab.Registry()+"@nobody"))
	assert.Equal(t, built, strings.Count(output, "the registry has no image "+lab.Registry()+"/"))

	pulumi.Configure(t, nil, "images="+lab.Registry()+"@"+lab.Name())
	plan := pulumi.Plan(t)
	assert.Equal(t, built, plan["delete"])
	assert.ElementsMatch(t, []string{"delete", "same"}, slices.Collect(maps.Keys(plan)))
}

// TestALabFromReleasesAndPulledImages uses a server on this machine in place of the projects' releases and
// Docker Hub.
func TestALabFromReleasesAndPulledImages(t *testing.T) {
	const second = "second"
	cache := t.TempDir()
	t.Cleanup(func() { proc.Run(t, lab.Make(lab.Checkout, "lab-delete", second)) })
	up := proc.Command(lab.Checkout, ".lab/lab", "--name", second, "--cache", cache, "up")
	up.Env = append(os.Environ(), mirror(t)...)
	var said strings.Builder
	up.Stderr = &said
	require.NoError(t, up.Run(), "%s", &said)

	assert.Len(t, lab.Daemons(second), 4)
	assert.Contains(t, said.String(), `msg=downloaded tool="k3s and containerd-shim-runc-v2"`)
	assert.Contains(t, said.String(), "msg=pulled image=redis:8")
	for _, made := range []string{"compil", "assembl"} {
		assert.NotContains(t, said.String(), "msg="+made)
	}
	kubectl := proc.Command(lab.Checkout, filepath.Join(".lab", second, "bin", "kubectl"), "--kubeconfig",
		filepath.Join(lab.Root, second, "kubeconfig"),
		"--namespace", "kube-system", "get", "addons.k3s.cattle.io", "--output", "name")
	assert.Equal(t, []string{"ccm", "coredns", "lab-storage", "lab-traefik", "rolebindings"},
		strings.Fields(strings.ReplaceAll(proc.Run(t, kubectl), "addon.k3s.cattle.io/", "")), "what k3s deploys")
}

// mirror serves this machine's cache until the test ends, and returns the settings that lead to it.
func mirror(t *testing.T) []string {
	serve := proc.Command(filepath.Join(lab.Checkout, "lab"), "go", "run", "./mirror")
	input, err := serve.StdinPipe()
	require.NoError(t, err)
	output, err := serve.StdoutPipe()
	require.NoError(t, err)
	serve.Stderr = os.Stderr
	require.NoError(t, serve.Start())
	t.Cleanup(func() {
		require.NoError(t, input.Close())
		require.NoError(t, serve.Wait())
	})
	var settings []string
	for lines := bufio.NewScanner(output); len(settings) < 2 && lines.Scan(); {
		settings = append(settings, lines.Text())
	}
	require.Len(t, settings, 2, "the mirror does not serve")
	return settings
}

// TestDataStaysWhereItIs changes everything that says where the data is, in as few ups as possible, and finds
// the data again.
func TestDataStaysWhereItIs(t *testing.T) {
	c := newCluster(t)
	before, claims, class := keepSomething(c), c.Claims(), newStorageClass(c)
	t.Cleanup(func() {
		c.Kubectl("delete", "namespace", "--ignore-not-found", "moved-exercises", "moved-project", "moved-storage")
	})

	t.Run("with a prefix", func(t *testing.T) {
		c := c.For(t)
		said := proc.Run(t, pulumi.Up("namePrefix=moved-", "ingressHost=moved.example.com"))
		assert.Contains(t, said, `Namespaces that are not used any more: exercises, project and storage.`)
		assert.Contains(t, said, `when namePrefix is "" again`)
		assert.Equal(t, claims, c.Claims())
		assert.Empty(t, c.Kubectl("get", "pods", "--selector", kube.Lasting, "--output", "name"))
		assert.Empty(t, traffic.Backend(c.In("moved-"+project)).Todos())
	})

	t.Run("back without it, of a renamed stack, in another class", func(t *testing.T) {
		c := c.For(t)
		const name = "renamed"
		pulumi.Run(t, "stack", "rename", name)
		t.Setenv("PULUMI_STACK", name)
		t.Cleanup(func() { pulumi.Run(t, "stack", "rename", lab.Name()) })

		said := proc.Run(t, pulumi.Up("storageClass="+class))
		assert.Contains(t, said, "Namespaces that are not used any more: "+
			"moved-exercises, moved-project and moved-storage.")
		c.In("moved-"+exercises).Kubectl("get", "pvc", postgres.Volume)
		assert.Contains(t, said, "The stack was organization."+lab.Name()+", and is organization.renamed now.")
		assert.Contains(t, said, "storageClass: new claims are of "+class+
			". Existing claims stay in local-path, with their data.")
		assert.Equal(t, claims, c.Claims())
		assert.Equal(t, before, readKept(c))
	})

	set := c.Field("statefulset", postgres.Set, "{.metadata.uid}")
	pulumi.MakeUp(t)
	c.WaitUntilReady()
	assert.NotEqual(t, set, c.Field("statefulset", postgres.Set, "{.metadata.uid}"),
		"no StatefulSet can change its claim template: it is replaced")
	assert.Equal(t, claims, c.Claims())
	assert.Equal(t, before, readKept(c))
}

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestDataStaysWhereItIs changes all that says where the data is, in as few ups as that takes, and finds the
// data again.
func TestDataStaysWhereItIs(t *testing.T) {
	c := newCluster(t)
	before := c.keepSomething()
	volumes := c.volumes()
	class := "test-" + labName()
	run(t, command(".", "sh", "-ec",
		`kubectl get storageclass local-path --output json | sed 's/"name": "local-path"/"name": "'"$1"'"/' | kubectl create --filename -`, "sh", class))
	t.Cleanup(func() {
		run(t, command(".", "kubectl", "delete", "storageclass", class))
		run(t, command(".", "kubectl", "delete", "namespace", "--ignore-not-found", "moved-exercises",
			"moved-project", "moved-storage"))
	})

	t.Run("with a prefix", func(t *testing.T) {
		c := c.of(t)
		said := run(t, upWith("namePrefix=moved-", "ingressHost=moved.example.com"))
		assert.Contains(t, said, `Namespaces that are not used any more: exercises, project and storage.`)
		assert.Contains(t, said, `when namePrefix is "" again`)
		assert.Equal(t, volumes, c.volumes())
		pods, err := c.CoreV1().Pods(c.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: lasting})
		require.NoError(t, err)
		assert.Empty(t, pods.Items)
		assert.Empty(t, c.in("moved-"+project).todos())
	})

	t.Run("back without it, of a renamed stack, in another class and size", func(t *testing.T) {
		c := c.of(t)
		const name = "renamed"
		pulumi(t, checkout, "stack", "rename", name)
		t.Setenv("PULUMI_STACK", name)
		t.Cleanup(func() { pulumi(t, checkout, "stack", "rename", labName()) })

		said := run(t, upWith("storageClass="+class, "redisStorageSize=101Mi", "postgresStorageSize=2Gi",
			"storageSize=6Gi"))
		assert.Contains(t, said, `Namespaces that are not used any more: moved-exercises, moved-project and moved-storage.`)
		assert.Contains(t, c.in("moved-"+exercises).claims(), "data-"+postgresPod)
		assert.Contains(t, said, "The stack was organization."+labName()+", and is organization.renamed now.")
		assert.Contains(t, said, "storageClass: new claims are of "+class+
			". Those that are there stay in local-path, with their data.")
		for setting, size := range map[string]string{"redisStorageSize": "101Mi", "postgresStorageSize": "2Gi",
			"storageSize": "6Gi"} {
			assert.Contains(t, said, setting+": new claims are of "+size+". ")
		}
		assert.Equal(t, volumes, c.volumes())
		assert.Equal(t, before, c.kept())
	})

	set := c.statefulSetUID(postgresSet)
	makeUp(t)
	c.waitUntilReady()
	assert.NotEqual(t, set, c.statefulSetUID(postgresSet),
		"no StatefulSet can change its claim template: it is replaced")
	assert.Equal(t, volumes, c.volumes())
	assert.Equal(t, before, c.kept())
}

// of is the same namespace for a part of the test.
func (c *cluster) of(t *testing.T) *cluster {
	part := *c
	part.t = t
	return &part
}

// volume is what a claim is bound to.
type volume struct{ name, class, size string }

// volumes are those of all namespaces' lasting claims, by namespace and name.
func (c *cluster) volumes() map[string]volume {
	c.t.Helper()
	volumes := map[string]volume{}
	for namespace := range podCount {
		claims, err := c.CoreV1().PersistentVolumeClaims(namespace).List(c.t.Context(), metav1.ListOptions{})
		require.NoError(c.t, err)
		for _, claim := range claims.Items {
			if len(claim.OwnerReferences) == 0 { // or it is the scratch volume of a backup
				size := claim.Status.Capacity.Storage().String()
				volumes[namespace+"/"+claim.Name] = volume{claim.Spec.VolumeName, *claim.Spec.StorageClassName, size}
			}
		}
	}
	return volumes
}

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestEachPodHasAClaimOfItsOwn(t *testing.T) {
	c := newLane(t, exercises)
	list, err := c.CoreV1().PersistentVolumeClaims(c.namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	volumes := map[string]string{}
	for _, claim := range list.Items {
		assert.Equal(t, corev1.ClaimBound, claim.Status.Phase, claim.Name)
		volumes[claim.Spec.VolumeName] = claim.Name
	}
	var claims []string
	for _, name := range volumes {
		claims = append(claims, name)
	}
	assert.ElementsMatch(t, []string{"redis-data-storage-redis-stset-0", "redis-data-storage-redis-stset-1",
		"data-postgres-ss-0"}, claims)

	for _, name := range redisPods {
		var used []string
		for _, volume := range c.pod(name).Spec.Volumes {
			if source := volume.PersistentVolumeClaim; source != nil {
				used = append(used, source.ClaimName)
			}
		}
		assert.Equal(t, []string{"redis-data-storage-" + name}, used)
	}
}

package e2e

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTrainGoesOnAfterPodWasDeleted(t *testing.T) {
	c := newCluster(t)
	ride := c.board()
	c.deletePod(redisPods[0])
	ride.goesOn()
}

func TestTrainGoesOnAfterRedisWasKilled(t *testing.T) {
	c := newCluster(t)
	ride := c.board()
	c.kill(redisPods[0], "redis-server")
	ride.goesOn()
}

func TestTrainGoesOnAfterStatefulSetWasDeleted(t *testing.T) {
	c := newCluster(t)
	ride := c.board()
	c.deleteStatefulSet()
	makeUp(t)
	ride.goesOn()
}

func TestTrainGoesOnAfterDestroyAndUp(t *testing.T) {
	c := newCluster(t)
	ride := c.board()
	claims := c.claims()
	pulumiDestroy(t)

	_, err := c.AppsV1().StatefulSets(c.namespace).Get(t.Context(), statefulSet, metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "the StatefulSet after destroy: %v", err)
	_, err = c.CoreV1().Namespaces().Get(t.Context(), c.namespace, metav1.GetOptions{})
	assert.NoError(t, err, "destroy keeps the namespace")
	assert.Equal(t, claims, c.claims(), "destroy keeps the claims")

	makeUp(t)
	assert.Equal(t, claims, c.claims(), "up takes up the same claims")
	ride.goesOn()
}

func TestTrainGoesOnAfterUpWasKilled(t *testing.T) {
	for what, exists := range map[string]func(*cluster) error{
		"the password": func(c *cluster) error {
			_, err := c.CoreV1().Secrets(c.namespace).Get(c.t.Context(), "redis", metav1.GetOptions{})
			return err
		},
		"the StatefulSet": func(c *cluster) error {
			_, err := c.AppsV1().StatefulSets(c.namespace).Get(c.t.Context(), statefulSet, metav1.GetOptions{})
			return err
		},
	} {
		t.Run("as it had made "+what, func(t *testing.T) {
			c := newCluster(t)
			ride := c.board()
			pulumiDestroy(t)
			startAndKill(t, makeCommand(checkout, "up", labName()), func() bool { return exists(c) == nil })
			makeUp(t)
			ride.goesOn()
		})
	}
}

// TRAIN_KILLS is the number of kills, 10 by default; TRAIN_SEED repeats a sequence.
func TestTrainGoesOnAfterRandomKills(t *testing.T) {
	c := newCluster(t)
	seed := number(t, "TRAIN_SEED", rand.Uint64())
	t.Logf("TRAIN_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	kills := map[string]func(pod string){
		"delete pod":       c.deletePod,
		"kill redis":       func(pod string) { c.killAndReplace(pod, "redis-server") },
		"kill redisfiller": func(pod string) { c.killAndReplace(pod, "redisfiller") },
	}
	names := []string{"delete pod", "kill redis", "kill redisfiller"}

	ride := c.board()
	for i := range number(t, "TRAIN_KILLS", 10) {
		name, pod := names[random.IntN(len(names))], redisPods[random.IntN(len(redisPods))]
		t.Logf("%d: %s %s", i+1, name, pod)
		kills[name](pod)
		ride.goesOn()
	}
}

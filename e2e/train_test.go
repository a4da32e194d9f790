package e2e

import (
	"math/rand/v2"
	"testing"
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

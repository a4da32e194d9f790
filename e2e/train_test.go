package e2e

import (
	"testing"
)

// TRAIN_KILLS is the number of kills, by default one of each kind; TRAIN_SEED repeats a sequence.
func TestTrainGoesOnAfterRandomKills(t *testing.T) {
	c := newLane(t, exercises)
	random := newRandom(t, "TRAIN")
	kills := map[string]func(pod string){
		"delete pod":       c.deletePod,
		"kill redis":       func(pod string) { c.killAndReplace(pod, "redis-server") },
		"kill redisfiller": func(pod string) { c.killAndReplace(pod, "redisfiller") },
	}
	names := []string{"delete pod", "kill redis", "kill redisfiller"}

	ride := c.board()
	for i := range number(t, "TRAIN_KILLS", uint64(len(names))) {
		name, pod := names[i%uint64(len(names))], redisPods[random.IntN(len(redisPods))]
		t.Logf("%d: %s %s", i+1, name, pod)
		kills[name](pod)
		ride.goesOn()
	}
}

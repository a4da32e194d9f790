package e2e

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// killPods kills and deletes pods of an app and its Postgres, and waits after each time until all goes on.
// <variable>_KILLS is the number of times, by default one of each kind; <variable>_SEED repeats a sequence.
func (c *cluster) killPods(app, variable string, goesOn func()) {
	c.t.Helper()
	random := newRandom(c.t, variable)
	replica := func() string {
		pods := c.podsOf(app)
		return pods[random.IntN(len(pods))].Name
	}
	kills := []struct {
		name string
		kill func()
	}{
		{"kill Postgres", func() { c.killAndReplace(postgresPod, "postgres") }},
		{"kill a replica", func() { c.killAndReplace(replica(), app) }},
		{"delete a replica", func() { c.deletePod(replica()) }},
		{"delete Postgres", func() { c.deletePod(postgresPod) }},
		{"delete all pods", c.deleteAllPods},
	}
	for i := range number(c.t, variable+"_KILLS", uint64(len(kills))) {
		kill := kills[i%uint64(len(kills))]
		if i >= uint64(len(kills)) {
			kill = kills[random.IntN(len(kills))]
		}
		c.t.Logf("%d: %s", i+1, kill.name)
		kill.kill()
		goesOn()
	}
	c.waitUntilReady()
}

// newRandom logs its seed, and takes it from <variable>_SEED where that is set.
func newRandom(t *testing.T, variable string) *rand.Rand {
	t.Helper()
	seed := number(t, variable+"_SEED", rand.Uint64())
	t.Logf("%s_SEED=%d", variable, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// perSecond is how many requests the clients of an app send in a second: enough for some to be under way
// whenever something is killed, and few enough to leave the processors to what the test is about. LOAD
// changes it; 0 sets no limit.
func perSecond(t *testing.T) int {
	t.Helper()
	return int(number(t, "LOAD", 200))
}

func number(t *testing.T, variable string, byDefault uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return byDefault
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, variable)
	return n
}

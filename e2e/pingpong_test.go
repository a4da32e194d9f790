package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The course's exercise: the count is in a Postgres of its own pod, and survives when all pods are taken
// down.
func TestPingpongCountsOnAfterAllPodsWereDeleted(t *testing.T) {
	c := newLane(t, exercises)
	before := c.pings()
	assert.Equal(t, fmt.Sprintf("pong %d", before), c.get(pingpongService, "/pingpong"))
	assert.Equal(t, fmt.Sprintf("pong %d", before+1), c.get(pingpongService, "/pingpong"))
	c.deleteAllPods()
	assert.Equal(t, before+2, c.pings())
	assert.Equal(t, fmt.Sprintf("pong %d", before+2), c.get(pingpongService, "/pingpong"))
}

func TestRollingUpdateLosesNoPing(t *testing.T) {
	c := newCluster(t)
	run := c.startPinging()
	c.restart("pingpong")
	run.goesOn()
	account := run.end()
	assert.Zero(t, account.Failed(), "%s: %s", account, strings.Join(account.Reasons, "\n"))
}

func TestCountIsExactAfterKills(t *testing.T) {
	c := newLane(t, exercises)
	run, claims := c.startPinging(), c.claims()
	c.killPods("pingpong", "PINGPONG", run.goesOn)
	run.end()
	assert.Equal(t, claims, c.claims())
}

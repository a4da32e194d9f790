package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/rounds"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
)

// The course's exercise: the count is in a Postgres of its own pod, and survives when all pods are taken
// down.
func TestPingpongCountsOnAfterAllPodsWereDeleted(t *testing.T) {
	c := newLane(t, exercises)
	before := traffic.Pingpong(c).Pings()
	assert.Equal(t, fmt.Sprintf("pong %d", before), traffic.Pingpong(c).Get("/pingpong"))
	assert.Equal(t, fmt.Sprintf("pong %d", before+1), traffic.Pingpong(c).Get("/pingpong"))
	c.DeleteAllPods()
	assert.Equal(t, before+2, traffic.Pingpong(c).Pings())
	assert.Equal(t, fmt.Sprintf("pong %d", before+2), traffic.Pingpong(c).Get("/pingpong"))
}

func TestRollingUpdateLosesNoPing(t *testing.T) {
	c := newCluster(t)
	run := traffic.StartPings(c)
	c.Restart("pingpong")
	run.WaitUntilGoingOn()
	account := run.End()
	assert.Zero(t, account.Failed(), "%s: %s", account, strings.Join(account.Reasons, "\n"))
}

func TestCountIsExactAfterKills(t *testing.T) {
	c := newLane(t, exercises)
	run, claims := traffic.StartPings(c), c.Claims()
	killPods(c, "pingpong", "PINGPONG", run.WaitUntilGoingOn)
	run.End()
	assert.Equal(t, claims, c.Claims())
}

func TestNoTodoIsLostInKills(t *testing.T) {
	c := newLane(t, project)
	run := traffic.StartTodos(c)
	killPods(c, "todo-backend", "TODO", run.WaitUntilGoingOn)
	run.End()
}

func TestRollingUpdateFailsNoRequest(t *testing.T) {
	c := newLane(t, project)
	run := traffic.StartTodos(c)
	c.Restart("todo-backend")
	run.WaitUntilGoingOn()
	account := run.End()
	assert.Zero(t, account.Failed(), "%s: %s", account, strings.Join(account.Reasons, "\n"))
}

// killPods kills and deletes pods of an app and its Postgres, and waits each time until everything works
// again. <variable>_KILLS is the number of times, by default one of each kind; <variable>_SEED repeats a
// sequence.
func killPods(c *kube.Cluster, app, variable string, waitUntilGoingOn func()) {
	random := rounds.Random(c.T, variable)
	replica := func() string {
		pods := c.Pods("app=" + app)
		return pods[random.IntN(len(pods))].Name
	}
	kills := []struct {
		name string
		kill func()
	}{
		{"kill Postgres", func() { c.Kill(postgres.Pod, "postgres") }},
		{"kill a replica", func() { c.Kill(replica(), app) }},
		{"delete a replica", func() { c.DeletePod(replica()) }},
		{"delete Postgres", func() { c.DeletePod(postgres.Pod) }},
		{"delete all pods", c.DeleteAllPods},
	}
	for i := range int(rounds.Number(c.T, variable+"_KILLS", uint64(len(kills)))) {
		kill := kills[i%len(kills)]
		if i >= len(kills) {
			kill = kills[random.IntN(len(kills))]
		}
		c.T.Logf("%d: %s", i+1, kill.name)
		kill.kill()
		waitUntilGoingOn()
	}
	c.WaitUntilReady()
}

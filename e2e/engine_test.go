//go:build soak

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/rounds"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/store"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
)

// on are the settings that give the pings an engine.
func on(engine string, further ...string) []string {
	settings := []string{"databases[0].name=pingpong", "databases[0].engine=" + engine}
	for _, field := range further {
		settings = append(settings, "databases[0]."+field)
	}
	return settings
}

// TestPostgresThatFailsOver moves the pings to the engine of several servers and back. Primaries are lost
// while clients ping: no number that was handed out is lost, or handed out again.
func TestPostgresThatFailsOver(t *testing.T) {
	c := newCluster(t)
	leaveSettings()
	t.Cleanup(func() { backToOneServer(c) })
	const several = "cloudnative-pg"
	said := refused(t, pulumi.Up(on(several)...))
	assert.Contains(t, said, "the data of the database pingpong is with the engine statefulset")

	// The lab has the operator's image when the settings name the engine.
	pulumi.RestoreSettings(t)
	pulumi.Run(t, "config", "set", "--path", "databases[0].name", "pingpong")
	pulumi.Run(t, "config", "set", "--path", "databases[0].engine", several)
	proc.Run(t, pulumi.Make("lab-up"))
	before := moves(c, on(several, "restoreFrom=latest"), 3)
	assert.Equal(t, before, traffic.Pingpong(c).Pings())
	failOver(c)
	store.MadeBy(c, store.StartBackup(c, "of-the-primary", func(*batchv1.JobSpec) {}))

	// Passwords change without a restart of a server.
	running := pods(c, servers)
	pinging := traffic.StartPings(c)
	rotated := append(on(several), "secretVersions=pingpong-owner=2; pingpong-reader=2")
	proc.Run(t, pulumi.Up(rotated...))
	pinging.WaitUntilGoingOn()
	pinging.End()
	store.MadeBy(c, store.StartBackup(c, "with-a-new-password", func(*batchv1.JobSpec) {}))
	assert.Equal(t, running, pods(c, servers))

	before = moves(c, on("statefulset", "restoreFrom=latest", "restoreOver=true"), 1)
	assert.Equal(t, before, traffic.Pingpong(c).Pings())
}

// moves backs up the pings while nothing writes, and brings the stack up with settings that restore them. It
// returns how many pings there were.
func moves(c *kube.Cluster, settings []string, instances int) (pings int64) {
	pings = traffic.Pingpong(c).Pings()
	c.Scale("deployment/pingpong", "0")
	store.MadeBy(c, store.StartBackup(c, "before-the-move", func(*batchv1.JobSpec) {}))
	up := pulumi.Up(settings...)
	up.Args = append(up.Args, "--refresh") // it finds that the app was stopped, and starts it
	proc.Run(c.T, up)
	assert.Contains(c.T, store.OutcomeOf(c, "restore").Said, "restored pingpong from ")
	c.Standbys[exercises] = instances - 1
	return pings
}

// failOver loses primaries under load, one in each of several ways: FAILOVERS is how often, once by default.
func failOver(c *kube.Cluster) {
	run := traffic.StartPings(c)
	for i := range int(rounds.Number(c.T, "FAILOVERS", 1)) {
		way := failovers[i%len(failovers)]
		longest := watchGaps(run.Acknowledged)
		way.lose(c)
		run.WaitUntilGoingOn()
		waitUntilHealthy(c)
		c.T.Logf("%d: %s: at most %s without a ping", i+1, way.name, longest())
	}
	run.End()
}

// backToOneServer leaves the lab as it was: nothing of the engine, and the data with the usual one.
func backToOneServer(c *kube.Cluster) {
	if c.Command("get", "statefulset", postgres.Set).Run() != nil { // the test has failed before it moved back
		proc.Run(c.T, pulumi.Up(on("statefulset", "restoreFrom=latest", "restoreOver=true")...))
	}
	_ = c.Command("delete", cluster).Run() // it may never have been there
}

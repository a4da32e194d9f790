//go:build soak

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// upgradeJob is CloudNativePG's, which runs pg_upgrade.
const upgradeJob = "job/postgres-1-major-upgrade"

// TestANewMajorVersionInPlace has CloudNativePG upgrade both databases while clients ping and add todos. The
// first try fails, and the old version comes back. The second one is killed, and the next up ends it.
func TestANewMajorVersionInPlace(t *testing.T) {
	c := newCluster(t)
	leaveSettings()
	t.Cleanup(func() { newServers(c) })
	pulumi.Configure(t, nil, "engine=cloudnative-pg", "archive=false", "postgresImage="+oldVersion)
	proc.Run(t, pulumi.Make("lab-up")) // which gets operator and image
	newServers(c)
	c.Standbys[exercises], c.Standbys[project] = 2, 2
	pings, todos := traffic.StartPings(c), traffic.AddTodos(c.In(project))

	inBoth(c, func(c *kube.Cluster) { sql(c, "CREATE TABLE refused (oid regproc)") }) // by pg_upgrade
	pulumi.Configure(t, nil, "postgresImage="+newVersion)
	said := pulumi.Run(t, "preview")
	assert.Contains(t, said, "The database pingpong moves from PostgreSQL 17 to 18. First a backup is made")
	assert.Contains(t, said, "The database todo moves from PostgreSQL 17 to 18. ")
	proc.KillWhen(t, pulumi.Make("up"), func() bool {
		failed, _ := c.Command("get", upgradeJob, "--output", "jsonpath={.status.failed}").Output()
		other, _ := c.In(project).Command("get", upgradeJob, "--output", "jsonpath={.status.failed}").Output()
		return len(failed) > 0 && len(other) > 0
	})
	assert.Contains(t, pulumi.Run(t, "preview"), "to have the database as it was, give it the image "+oldVersion)

	pulumi.Configure(t, nil, "postgresImage="+oldVersion)
	pulumi.MakeUp(t)
	pings.WaitUntilGoingOn()
	todos.WaitUntilGoingOn()
	inBoth(c, func(c *kube.Cluster) {
		runs(c, "17.")
		sql(c, "DROP TABLE refused")
	})

	pulumi.Configure(t, nil, "postgresImage="+newVersion)
	whenIs(upgradeJob, "{.metadata.name}")(c)
	pulumi.MakeUp(t)
	pings.WaitUntilGoingOn()
	todos.WaitUntilGoingOn()
	pings.End()
	todos.End()
	inBoth(c, func(c *kube.Cluster) {
		runs(c, "18.")
		assert.NotEqual(t, "0", sql(c, "SELECT count(*) FROM pg_stats WHERE schemaname = 'public'"),
			"statistics of the planner")
	})
	pulumi.MakeUp(t) // what made the backup before goes
	pulumi.UpChangesNothing(t)
}

// runs waits until three servers of a version follow one primary.
func runs(c *kube.Cluster, version string) {
	waitUntilHealthy(c)
	wait.Until(c.T, func() error {
		if count := len(c.Pods(servers)); count != 3 {
			return fmt.Errorf("%s has %d servers", c.Namespace, count)
		}
		return nil
	})
	require.True(c.T, strings.HasPrefix(sql(c, "SHOW server_version"), version))
}

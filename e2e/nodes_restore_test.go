package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/store"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// testATimeComesBack restores both databases to a time between writes from the archive, and finds what was
// there then, exactly.
func testATimeComesBack(t *testing.T, m manyNodes) {
	inBoth(m.Cluster, waitForBaseBackup)
	pingpong, backend := traffic.Pingpong(m.Cluster), traffic.Backend(m.In(project))
	m.underLoad(func(*traffic.Pings) {})
	pings, todos := pingpong.Pings(), backend.Todos()
	require.NotEmpty(t, todos)
	at := time.Now().Add(time.Second).Truncate(time.Second).UTC()
	time.Sleep(time.Until(at))
	m.underLoad(func(*traffic.Pings) {})
	require.Greater(t, pingpong.Pings(), pings)
	inBoth(m.Cluster, func(c *kube.Cluster) {
		waitUntilArchived(c, sql, sql(c, "SELECT pg_walfile_name(pg_switch_wal())"))
	})

	for i, database := range []string{"pingpong", "todo"} {
		for field, value := range map[string]string{"name": database, "restoreFrom": at.Format(time.RFC3339),
			"restoreOver": "true"} {
			m.Shell(`pulumi config set --path "$@"`, fmt.Sprintf("databases[%d].%s", i, field), value)
		}
	}
	m.Make("up")
	assert.Equal(t, pings, pingpong.Pings())
	assert.Equal(t, todos, backend.Todos())
	assert.Contains(t, store.OutcomeOf(m.Cluster, "restore").Said, "restored pingpong from ")

	m.Shell("pulumi config rm databases")
	m.Make("up")
	inBoth(m.Cluster, func(c *kube.Cluster) {
		assert.Equal(t, "cluster.postgresql.cnpg.io/postgres\n",
			c.Kubectl("get", "clusters.postgresql.cnpg.io", "--output", "name"), "what was recovered is gone")
	})
	m.underLoad(func(*traffic.Pings) {})
}

// waitForBaseBackup waits until the archive of a namespace's database can be recovered from.
func waitForBaseBackup(c *kube.Cluster) {
	wait.Until(c.T, func() error {
		first := c.Field("objectstores.barmancloud.cnpg.io", "postgres",
			"{.status.serverRecoveryWindow.*.firstRecoverabilityPoint}")
		if first == "" {
			return fmt.Errorf("the archive in %s has no base backup", c.Namespace)
		}
		return nil
	})
}

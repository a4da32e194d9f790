package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/docs"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/secrets"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/store"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// TestALostVolumeComesBackFromTheArchive loses the volume of the pings as the death of a node does: with
// everything that was not archived yet. The app continues with an empty database, and its archive is then the
// newest. Before that, a restore of the todos is refused: they are there.
func TestALostVolumeComesBackFromTheArchive(t *testing.T) {
	c := newCluster(t)
	leaveSettings()
	// Every pod that ever ran has a row. In a very young stack the lost database could have fewer rows than the
	// one in its place, and end would ask for a name.
	postgres.Query(c, "INSERT INTO replica (id) SELECT 'earlier ' || n FROM generate_series(1, 10) n")
	pinging := traffic.StartPings(c)
	durable := pinging.Before + int64(pinging.Acknowledged())
	// Without the switch the log would be archived after archiveTimeout.
	log := postgres.Query(c, "SELECT pg_walfile_name(pg_switch_wal())")

	traffic.StartTodos(c.In(project)).End()
	todos := traffic.Backend(c.In(project))
	before := todos.Todos()
	output := refused(t, pulumi.Up(pulumi.Restoring("todo", store.Backups(c.In(project))[0], false)...))
	assert.Contains(t, output, "todo holds ")
	assert.Contains(t, output, "restoreOver")
	assert.Equal(t, before, todos.Todos())

	waitUntilArchived(c, postgres.Query, log)
	storeIsBack := store.TakeAway(c)
	account := pinging.Stop()
	acknowledged := pinging.Before + int64(len(account.Numbers)+account.Failed())
	postgres.LoseVolume(c)
	storeIsBack()
	assert.Zero(t, traffic.Pingpong(c).Pings(), "the app makes its tables again")
	c.WaitUntilReady()

	proc.Run(t, pulumi.Up(pulumi.Restoring("pingpong", "end", true)...))
	restored := traffic.Pingpong(c).Pings()
	t.Logf("%d pings in all, %d of them in the archive before the volume was lost: %d restored", acknowledged,
		durable, restored)
	assert.GreaterOrEqual(t, restored, durable)
	assert.LessOrEqual(t, restored, acknowledged)
	assert.Contains(t, store.OutcomeOf(c, "restore").Said, "restored pingpong from ")

	traffic.StartPings(c).End()
	counted := traffic.Pingpong(c).Pings()
	proc.Run(t, pulumi.Up(pulumi.Restoring("pingpong", "end", true)...))
	assert.Equal(t, counted, traffic.Pingpong(c).Pings(), "the same up once more")
}

// TestALostStateTakesUpWhatRuns runs the commands of docs/bad-day.md that make a new state for a running
// stack, and finds the same data in the same volumes behind the same passwords. The settings that they make
// stay until the next up.
func TestALostStateTakesUpWhatRuns(t *testing.T) {
	c := connect(t) // the last of the commands is make up, whatever settings the test before has left
	leaveSettings()
	pulumi.RestoreSettings(t)
	lost := lab.Path("pulumi.lost")
	t.Cleanup(func() {
		assert.NoError(t, os.RemoveAll(lost))
		c.In("exercises").Kubectl("delete", "secret", "pingpong-password", "--ignore-not-found")
		c.In("project").Kubectl("delete", "secret", "todo-password", "--ignore-not-found")
	})
	before, claims, had := keepSomething(c), c.Claims(), secrets.Read(c)

	documents, err := docs.Read(lab.Checkout)
	require.NoError(t, err)
	for _, document := range documents {
		for _, block := range document.Blocks {
			if strings.Contains(block.Commands, "/pulumi.lost") {
				block.NotRun = ""
				commands := docs.Document{Name: document.Name, Blocks: []docs.Block{block}}
				require.NoError(t, commands.Run(t.Context(), lab.Checkout, lab.Name()))
			}
		}
	}

	c.WaitUntilReady()
	assert.DirExists(t, lost, "the state of before")
	assert.Equal(t, claims, c.Claims())
	assert.Equal(t, before, readKept(c))
	has := secrets.Read(c)
	for _, password := range []string{"exercises/redis password", "exercises/postgres-client password",
		"project/postgres-client password"} {
		assert.NotEmpty(t, has[password], password)
		assert.Equal(t, had[password], has[password], password)
	}
	assert.Contains(t, has.ChangedSince(had), "project/postgres READER_URL", "what the new state generated")
}

// waitUntilArchived waits for a file of the log that Postgres has ended. query asks Postgres.
func waitUntilArchived(c *kube.Cluster, query func(*kube.Cluster, string) string, log string) {
	wait.Until(c.T, func() error {
		if last := query(c, "SELECT last_archived_wal FROM pg_stat_archiver"); last < log {
			return fmt.Errorf("%s is not in the archive, the last one is %q", log, last)
		}
		return nil
	})
}

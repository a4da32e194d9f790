package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestALostVolumeComesBackFromTheArchive loses the volume of the pings as the death of a node does: with all
// that the archive does not have at that moment. Their app goes on with an empty database, whose archive is
// then the newest. Before, a restore of the todos is refused, for they are there.
func TestALostVolumeComesBackFromTheArchive(t *testing.T) {
	c := newCluster(t)
	leaveSettings(t)
	// Every pod that ever ran has a row. The lost database has more of them than the one in its place, but in a
	// very young stack: there, end would ask for a name.
	c.psql("INSERT INTO replica (id) SELECT 'earlier ' || n FROM generate_series(1, 10) n")
	pinging := c.startPinging()
	durable := pinging.before + int64(pinging.Acknowledged())
	log := c.psql("SELECT pg_walfile_name(pg_current_wal_lsn())")

	todos := c.in(project).site(todoService)
	before := todos.todos()
	output, err := upWith("todoRestoreFrom=" + c.in(project).backups()[0]).CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(output), "todo holds ")
	assert.Contains(t, string(output), "restoreOver")
	assert.Equal(t, before, todos.todos())

	c.waitUntilArchived(log)
	storeIsBack := c.takeStoreAway()
	account := pinging.Stop()
	acknowledged := pinging.before + int64(len(account.Numbers)+account.Failed())
	c.loseVolume()
	storeIsBack()
	assert.Zero(t, c.pings(), "the app makes its tables anew")
	c.waitUntilReady()

	pulumiUpWith(t, "pingpongRestoreFrom=end", "restoreOver=pingpong")
	restored := c.pings()
	t.Logf("%d pings in all, %d of them in the archive before the volume was lost: %d restored", acknowledged,
		durable, restored)
	assert.GreaterOrEqual(t, restored, durable)
	assert.LessOrEqual(t, restored, acknowledged)
	assert.Contains(t, c.outcome("restore").Said, "restored pingpong from ")

	c.startPinging().end()
	counted := c.pings()
	pulumiUpWith(t, "pingpongRestoreFrom=end", "restoreOver=pingpong")
	assert.Equal(t, counted, c.pings(), "the same up once more")
}

// TestALostStateTakesUpWhatRuns runs the commands by which docs/bad-day.md makes a new state for a stack that
// runs, and finds the same data in the same volumes. The passwords that they set stay until the next up.
func TestALostStateTakesUpWhatRuns(t *testing.T) {
	c := connect(t) // the last of the commands is make up, whatever settings the test before has left
	c.waitUntilReady()
	leaveSettings(t)
	restoreSettings(t)
	lab := filepath.Join(labs, labName())
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(filepath.Join(lab, "pulumi.lost"))) })
	before, volumes := c.keepSomething(), c.volumes()

	document, err := os.ReadFile(filepath.Join(checkout, "docs/bad-day.md"))
	require.NoError(t, err)
	var commands string
	for block := range strings.SplitSeq(string(document), "```sh\n") {
		if strings.Contains(block, "/pulumi.lost") {
			commands, _, _ = strings.Cut(block, "```")
		}
	}
	require.NotEmpty(t, commands)
	names := strings.NewReplacer(labs+"/dev", lab, ".lab/env", ".lab/"+labName()+"/env")
	cmd := command(checkout, "sh", "-ec", names.Replace(commands))
	cmd.Env = append(os.Environ(), "LAB="+labName(), "YES=1")
	run(t, cmd)

	c.waitUntilReady()
	assert.DirExists(t, filepath.Join(lab, "pulumi.lost"), "the state of before")
	assert.Equal(t, volumes, c.volumes())
	assert.Equal(t, before, c.kept())
}

// waitUntilArchived waits for a file of the log: Postgres ends each after archiveTimeout at the latest.
func (c *cluster) waitUntilArchived(log string) {
	c.t.Helper()
	eventually(c.t, func() error {
		if last := c.psql("SELECT last_archived_wal FROM pg_stat_archiver"); last < log {
			return fmt.Errorf("%s is not in the archive, the last one is %q", log, last)
		}
		return nil
	})
}

// loseVolume deletes the volume of Postgres, and has it start anew.
func (c *cluster) loseVolume() {
	c.t.Helper()
	const volume = "data-" + postgresPod
	scale := func(replicas int) {
		run(c.t, command(".", "kubectl", "-n", c.namespace, "scale", "statefulset", postgresSet, "--replicas",
			fmt.Sprint(replicas)))
	}
	scale(0)
	c.forceDelete(postgresPod)
	claims := c.CoreV1().PersistentVolumeClaims(c.namespace)
	require.NoError(c.t, claims.Delete(c.t.Context(), volume, metav1.DeleteOptions{}))
	eventually(c.t, func() error {
		if _, err := claims.Get(c.t.Context(), volume, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("claim %s is still there: %w", volume, err)
		}
		return nil
	})
	scale(1)
}

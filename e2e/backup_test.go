package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

func TestUpMakesABackupOfEachDatabase(t *testing.T) {
	c := newLane(t, exercises)
	for _, namespace := range []string{exercises, project} {
		c := c.in(namespace)
		completed, log := c.waitForJob(backup)
		require.True(t, completed, "%s: %s", namespace, log)
		c.madeBy(backup)
	}
}

func TestDamageOfABackupIsFound(t *testing.T) {
	c := newLane(t, exercises)
	verify := func(job string) (completed bool, said string) {
		job = c.startBackup(job, func(job *batchv1.JobSpec) {
			job.Template.Spec.Containers[0].Args = []string{"verify"}
			job.BackoffLimit = ptr.To[int32](0)
		})
		completed, _ = c.waitForJob(job)
		return completed, c.outcome(job).Said
	}
	backups := c.backups()
	newest := backups[len(backups)-1]
	completed, said := verify("verify-sound")
	assert.True(t, completed)
	assert.Regexp(t, "^verified "+newest+`, archive \d+: restored and compared$`, said)

	dump, err := os.OpenFile(c.dumpFile(newest), os.O_RDWR, 0)
	require.NoError(t, err)
	defer dump.Close()
	info, err := dump.Stat()
	require.NoError(t, err)
	middle, sound := info.Size()/2, make([]byte, 1)
	_, err = dump.ReadAt(sound, middle)
	require.NoError(t, err)
	_, err = dump.WriteAt([]byte{sound[0] ^ 1}, middle)
	require.NoError(t, err)
	defer func() {
		_, err := dump.WriteAt(sound, middle)
		assert.NoError(t, err)
	}()
	completed, said = verify("verify-damaged")
	assert.False(t, completed)
	assert.Contains(t, said, "not verified: "+newest+
		": restore the dump: the stored dump is damaged: its SHA-256 is ")
}

func TestMetricsOfBackupsOutliveTheirJob(t *testing.T) {
	c := newLane(t, exercises)
	job := c.startBackup("measured", func(*batchv1.JobSpec) {})
	completed, log := c.waitForJob(job)
	require.True(t, completed, log)
	made := c.manifest(c.madeBy(job))
	c.deleteJob(job)
	c.restart(backupMetrics)

	taken, err := restorepoint.BackupTime(made.Name)
	require.NoError(t, err)
	gauges, err := c.gauges()
	require.NoError(t, err)
	assert.InDelta(t, made.Verified.Unix(), gauges["last_run_timestamp_seconds"], 2)
	delete(gauges, "last_run_timestamp_seconds")
	assert.Equal(t, map[string]float64{
		"last_verified_timestamp_seconds": float64(taken.Unix()),
		"last_verified_size_bytes":        float64(made.Dump.Size),
		"last_verified_duration_seconds":  made.Verified.Sub(made.Started).Seconds(),
		"last_verified_lacks":             float64(len(made.Lacks)),
		"verified_backups":                float64(len(c.backups())),
		"last_run_success":                1,
	}, gauges)
	status, _ := makeCommand(checkout, "status", labName()).CombinedOutput() // what other lanes do may be wrong
	assert.Regexp(t, `\nbackup +`+c.namespace+": "+made.Name+`, verified, \d+[sm] old, `, string(status))
}

func TestBackupsWhileTheStoreIsAway(t *testing.T) {
	c := newCluster(t)
	backups := c.backups()
	comeBack := c.takeStoreAway()
	failing := c.startBackup("failing", func(job *batchv1.JobSpec) {
		setEnv(job, "RETRY", "5s") // policies reach the pod a moment after its start
		job.BackoffLimit = ptr.To[int32](0)
	})
	waiting := c.in(project).startBackup("waiting", func(*batchv1.JobSpec) {})

	completed, log := c.waitForJob(failing)
	assert.False(t, completed, log)
	assert.Contains(t, c.outcome(failing).Said, "no backup: store the dump: ")
	eventually(t, func() error {
		pods := c.in(project).podsOfJob(waiting)
		if log := c.in(project).log(pods[0].Name, backup); !strings.Contains(log, `msg="beginning anew"`) {
			return fmt.Errorf("the first attempt has not failed: %s", log)
		}
		return nil
	})
	comeBack()
	completed, log = c.in(project).waitForJob(waiting)
	require.True(t, completed, log)
	c.in(project).madeBy(waiting)
	assert.Len(t, c.in(project).podsOfJob(waiting), 1)
	assert.Equal(t, backups, c.backups())
}

// The pod is killed while what it has stored is restored.
func TestAKilledBackupIsNone(t *testing.T) {
	c := newLane(t, exercises)
	job := c.startBackup("killed", func(*batchv1.JobSpec) {})
	eventually(t, func() error {
		pods := c.podsOfJob(job)
		if len(pods) == 0 || len(c.processes(pods[0].UID, "postgres")) == 0 {
			return errors.New("there is no throwaway server")
		}
		for _, process := range c.processes(pods[0].UID, "backup") { // the other one has started the server
			if strings.Contains(read(fmt.Sprintf("/proc/%d", process), "cmdline"), "run") {
				return syscall.Kill(process, syscall.SIGKILL)
			}
		}
		return errors.New("there is no program")
	})
	completed, log := c.waitForJob(job)
	require.True(t, completed, log)
	pods := c.podsOfJob(job)
	require.Len(t, pods, 2)
	assert.Equal(t, int32(128+syscall.SIGKILL), pods[0].Status.ContainerStatuses[0].State.Terminated.ExitCode)
	_, begun, found := strings.Cut(c.log(pods[0].Name, backup), " backup=")
	require.True(t, found)
	name, _, _ := strings.Cut(begun, "\n")
	assert.NotContains(t, c.backups(), name)
	assert.FileExists(t, c.dumpFile(name))
	c.madeBy(job)
}

func TestAccountsOfTheStoreAreKeptApart(t *testing.T) {
	c := newLane(t, exercises)
	name := c.in(project).backups()[0]
	listed := <-c.store().ListObjects(t.Context(), bucket,
		minio.ListObjectsOptions{Prefix: project + "/", Recursive: true})
	assert.Equal(t, minio.AccessDenied, minio.ToErrorResponse(listed.Err).Code, "list: %v", listed.Err)
	_, err := c.store().StatObject(t.Context(), bucket, project+"/"+name+"/dump", minio.StatObjectOptions{})
	assert.Equal(t, minio.AccessDenied, minio.ToErrorResponse(err).Code, "read: %v", err)
}

// backsUpUnderLoad makes backups of both databases by hand, and finds some that the CronJob makes every
// minute, while they change.
func backsUpUnderLoad(t *testing.T, c *cluster) {
	pings, todos := c.startPinging(), c.in(project).startAdding()
	databases := []*struct {
		*cluster
		acknowledged func() int
		kept         func(backup string) int
		byHand       string
		before       int
	}{
		{cluster: c, acknowledged: func() int { return int(c.pings()) }, kept: func(backup string) int {
			_, pings, _ := strings.Cut(strings.TrimSpace(c.dumped(backup, "counter")), "\t")
			n, err := strconv.Atoi(pings)
			require.NoError(t, err)
			return n
		}},
		{cluster: c.in(project), acknowledged: todos.Acknowledged, kept: func(backup string) int {
			return strings.Count(c.in(project).dumped(backup, "todo"), "\t"+todos.prefix)
		}},
	}
	for _, d := range databases {
		d.byHand, d.before = fmt.Sprintf("by-hand-%x", rand.Uint32()), d.acknowledged()
		run(t, command(".", "kubectl", "-n", d.namespace, "create", "job", d.byHand, "--from=cronjob/"+backup))
		t.Cleanup(func() { d.deleteJob(d.byHand) })
	}
	for _, d := range databases {
		completed, log := d.waitForJob(d.byHand)
		require.True(t, completed, log)
		for _, step := range []string{`"took a snapshot"`, "recorded", `"dumped and stored"`, "restored",
			`"recorded the copy"`} {
			assert.Contains(t, log, "level=INFO msg="+step+" ")
		}
		assert.Contains(t, log, `msg="`+d.outcome(d.byHand).Said+`"`)
		kept := d.kept(d.madeBy(d.byHand))
		assert.GreaterOrEqual(t, kept, d.before, d.namespace)
		assert.Less(t, kept, d.acknowledged(), "%s: it went on while the backup was made", d.namespace)
	}
	for _, d := range databases {
		scheduled := d.scheduledJob(backup)
		completed, log := d.waitForJob(scheduled)
		require.True(t, completed, log)
		d.madeBy(scheduled)
	}
	pings.goesOn()
	todos.goesOn()
	pings.end()
	todos.end()
}

package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/store"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

func TestUpMakesABackupOfEachDatabase(t *testing.T) {
	c := newLane(t, exercises)
	for _, namespace := range []string{exercises, project} {
		store.MadeBy(c.In(namespace), store.Backup)
	}
}

func TestDamageOfABackupIsFound(t *testing.T) {
	c := newLane(t, exercises)
	verify := func(job string) (completed bool, said string) {
		job = store.StartBackup(c, job, func(job *batchv1.JobSpec) {
			job.Template.Spec.Containers[0].Args = []string{"verify"}
			job.BackoffLimit = ptr.To[int32](0)
		})
		completed, _ = c.WaitForJob(job)
		return completed, store.OutcomeOf(c, job).Said
	}
	backups := store.Backups(c)
	newest := backups[len(backups)-1]
	completed, said := verify("verify-sound")
	assert.True(t, completed)
	assert.Regexp(t, "^verified "+newest+`, archive \d+: restored and compared$`, said)

	dump := store.DumpFile(c, newest)
	sound, err := os.ReadFile(dump)
	require.NoError(t, err)
	damaged := slices.Clone(sound)
	damaged[len(damaged)/2] ^= 1
	require.NoError(t, os.WriteFile(dump, damaged, 0))
	defer func() { assert.NoError(t, os.WriteFile(dump, sound, 0)) }()
	completed, said = verify("verify-damaged")
	assert.False(t, completed)
	assert.Contains(t, said, "not verified: "+newest+
		": restore the dump: the stored dump is damaged: its SHA-256 is ")
}

func TestMetricsOfBackupsOutliveTheirJob(t *testing.T) {
	c := newLane(t, exercises)
	job := store.StartBackup(c, "measured", func(*batchv1.JobSpec) {})
	made := store.ReadManifest(c, store.MadeBy(c, job))
	store.DeleteJob(c, job)
	c.Restart(store.Metrics)

	taken, err := restorepoint.BackupTime(made.Name)
	require.NoError(t, err)
	gauges := store.Gauges(c)
	assert.InDelta(t, made.Verified.Unix(), gauges["last_run_timestamp_seconds"], 2)
	delete(gauges, "last_run_timestamp_seconds")
	assert.Equal(t, map[string]float64{
		"last_verified_timestamp_seconds": float64(taken.Unix()),
		"last_verified_size_bytes":        float64(made.Dump.Size),
		"last_verified_duration_seconds":  made.Verified.Sub(made.Started).Seconds(),
		"last_verified_lacks":             float64(len(made.Lacks)),
		"verified_backups":                float64(len(store.Backups(c))),
		"last_run_success":                1,
		"schedule_interval_seconds":       86400,
		"store_up":                        1,
	}, gauges)
	status, _ := pulumi.Make("status").CombinedOutput() // what other lanes do may be wrong
	assert.Regexp(t, `\nbackup +`+c.Namespace+": "+made.Name+`, verified, \d+[sm] old, `, string(status))
}

func TestBackupsWhileTheStoreIsAway(t *testing.T) {
	c := newCluster(t)
	backups := store.Backups(c)
	comeBack := store.TakeAway(c)
	failing := store.StartBackup(c, "failing", func(job *batchv1.JobSpec) {
		kube.SetEnv(job, "RETRY", "5s") // policies reach the pod a moment after its start
		job.BackoffLimit = ptr.To[int32](0)
	})
	waiting := store.StartBackup(c.In(project), "waiting", func(*batchv1.JobSpec) {})

	completed, log := c.WaitForJob(failing)
	assert.False(t, completed, log)
	assert.Contains(t, store.OutcomeOf(c, failing).Said, "no backup: store the dump: ")
	wait.Until(t, func() error {
		log, err := c.In(project).Command("logs", "job/"+waiting, "--container", store.Backup).Output()
		if err != nil || !strings.Contains(string(log), `msg="trying again"`) {
			return fmt.Errorf("the first attempt has not failed: %w: %s", err, log)
		}
		return nil
	})
	comeBack()
	store.MadeBy(c.In(project), waiting)
	assert.Len(t, c.In(project).JobPods(waiting), 1)
	assert.Equal(t, backups, store.Backups(c))
}

// The pod is killed while what it has stored is restored.
func TestAKilledBackupIsNone(t *testing.T) {
	c := newLane(t, exercises)
	job := store.StartBackup(c, "killed", func(*batchv1.JobSpec) {})
	wait.Until(t, func() error {
		pods := c.JobPods(job)
		if len(pods) == 0 || len(kube.Processes(&pods[0], "postgres")) == 0 {
			return errors.New("there is no throwaway server")
		}
		for _, process := range kube.Processes(&pods[0], "backup") { // the other one has started the server
			if strings.Contains(proc.Read(proc.Dir(process), "cmdline"), "run") {
				return syscall.Kill(process, syscall.SIGKILL)
			}
		}
		return errors.New("there is no program")
	})
	store.MadeBy(c, job)
	pods := c.JobPods(job)
	require.Len(t, pods, 2)
	assert.Equal(t, int32(128+syscall.SIGKILL), pods[0].Status.ContainerStatuses[0].State.Terminated.ExitCode)
	_, begun, found := strings.Cut(c.Log(pods[0].Name, store.Backup), " backup=")
	require.True(t, found)
	name, _, _ := strings.Cut(begun, "\n")
	assert.NotContains(t, store.Backups(c), name)
	assert.FileExists(t, store.DumpFile(c, name))
}

func TestAccountsOfTheStoreAreKeptApart(t *testing.T) {
	c := newLane(t, exercises)
	name := store.Backups(c.In(project))[0]
	listed := <-store.Client(c).ListObjects(t.Context(), store.Bucket,
		minio.ListObjectsOptions{Prefix: project + "/", Recursive: true})
	assert.Equal(t, minio.AccessDenied, minio.ToErrorResponse(listed.Err).Code, "list: %v", listed.Err)
	_, err := store.Client(c).StatObject(t.Context(), store.Bucket, project+"/"+name+"/dump",
		minio.StatObjectOptions{})
	assert.Equal(t, minio.AccessDenied, minio.ToErrorResponse(err).Code, "read: %v", err)
}

// backsUpUnderLoad makes backups of both databases by hand, and finds some that the CronJob makes every
// minute, while clients use the apps.
func backsUpUnderLoad(t *testing.T, c *kube.Cluster) {
	pings, todos := traffic.StartPings(c), traffic.StartTodos(c.In(project))
	databases := []*struct {
		c            *kube.Cluster
		acknowledged func() int
		rows         func(backup string) int
		byHand       string
		before       int
	}{
		{c: c, acknowledged: func() int { return int(traffic.Pingpong(c).Pings()) }, rows: func(backup string) int {
			_, pings, _ := strings.Cut(strings.TrimSpace(store.Rows(c, backup, "counter")), "\t")
			n, err := strconv.Atoi(pings)
			require.NoError(t, err)
			return n
		}},
		{c: c.In(project), acknowledged: todos.Acknowledged, rows: func(backup string) int {
			return strings.Count(store.Rows(c.In(project), backup, "todo"), "\t"+todos.Prefix)
		}},
	}
	for _, d := range databases {
		d.byHand, d.before = fmt.Sprintf("by-hand-%x", rand.Uint32()), d.acknowledged()
		d.c.Kubectl("create", "job", d.byHand, "--from=cronjob/"+store.Backup)
		t.Cleanup(func() { store.DeleteJob(d.c, d.byHand) })
	}
	for _, d := range databases {
		rows := d.rows(store.MadeBy(d.c, d.byHand))
		_, log := d.c.WaitForJob(d.byHand)
		for _, step := range []string{`"took a snapshot"`, "recorded", `"dumped and stored"`, "restored",
			`"recorded the copy"`} {
			assert.Contains(t, log, "level=INFO msg="+step+" ")
		}
		assert.Contains(t, log, `msg="`+store.OutcomeOf(d.c, d.byHand).Said+`"`)
		assert.GreaterOrEqual(t, rows, d.before, d.c.Namespace)
		assert.Less(t, rows, d.acknowledged(), "%s: the clients worked while the backup was made", d.c.Namespace)
	}
	for _, d := range databases {
		store.MadeBy(d.c, d.c.ScheduledJob(store.Backup))
	}
	pings.WaitUntilGoingOn()
	todos.WaitUntilGoingOn()
	pings.End()
	todos.End()
}

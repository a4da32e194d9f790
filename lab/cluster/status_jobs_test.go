package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newJob returns a Job of the app that ended at the hour.
func newJob(app, name string, hour int, end string) (j job) {
	j.Metadata = metadata{Namespace: "project", Name: name, CreationTimestamp: at(hour)}
	j.Spec.Template.Metadata.Labels = map[string]string{"app": app}
	j.Status.Conditions = []condition{
		{Type: "SuccessCriteriaMet", Status: "False"},
		{Type: end, Status: "True", Message: "said of the Job", LastTransitionTime: at(hour)},
	}
	return j
}

func ofCronJob(j job) job {
	j.Metadata.OwnerReferences = []ownerReference{{"CronJob"}}
	return j
}

func newPod(job string, hour int, end terminated) (p pod) {
	p.Metadata = metadata{
		Namespace: "project", CreationTimestamp: at(hour),
		Labels: map[string]string{"batch.kubernetes.io/job-name": job},
	}
	end.FinishedAt = at(4)
	p.Status.ContainerStatuses = make([]containerStatus, 1)
	p.Status.ContainerStatuses[0].State.Terminated = &end
	return p
}

func failedBecause(reason string) terminated {
	return terminated{Message: fmt.Sprintf(`{"ended": "2026-11-22T04:00:00Z", "ok": false, "said": %q}`+"\n",
		reason)}
}

// newestBackup was taken at 1 and verified at 2.
func newestBackup(t *testing.T, lastRun string) *backups {
	t.Helper()
	var b backups
	require.NoError(t, json.Unmarshal([]byte(`{"backups": 2, "newest": {"name": "a", "size": "1.2 kB",
		"taken": "2026-11-22T01:00:00Z", "verified": "2026-11-22T02:00:00Z"}, "lastRun": {`+lastRun+`}}`), &b))
	return &b
}

// cron returns the CronJobs; daily-todo succeeded at the time.
func cron(dailySuccess time.Time) (c cronJobList) {
	c.Items = make([]struct {
		Metadata metadata
		Status   struct{ LastSuccessfulTime time.Time }
	}, 2)
	c.Items[0].Metadata = metadata{Namespace: "project", Name: "backup"}
	c.Items[1].Metadata = metadata{Namespace: "project", Name: "daily-todo"}
	c.Items[1].Status.LastSuccessfulTime = dailySuccess
	return c
}

type jobsTest struct {
	cronJobs cronJobList
	jobs     []job
	pods     []pod
	backups  *backups
	lines    [][2]string
	faults   []string
}

func (test jobsTest) run(t *testing.T) {
	known := map[jobKind]backups{}
	if test.backups != nil {
		known[jobKind{"project", "backup"}] = *test.backups
	}
	var status Status
	status.addJobs(test.cronJobs, jobList{test.jobs}, podList{test.pods}, known, at(5))
	assert.Equal(t, Status{Lines: test.lines, Faults: test.faults}, status)
}

func TestStatusOfADatabaseThatUsersHaveAdded(t *testing.T) {
	var status Status
	jobs := jobList{[]job{newJob("old-shop-backup", "old-shop-backup", 4, "Failed")}}
	status.addJobs(cronJobList{}, jobs, podList{}, map[jobKind]backups{}, at(5))
	assert.Equal(t, Status{
		Lines:  [][2]string{{"backup", "project old-shop: not known: there is no pod of old-shop-backup-metrics"}},
		Faults: []string{"project/old-shop-backup failed 60m ago: said of the Job"},
	}, status)
}

func TestStatusOfTheArchive(t *testing.T) {
	var b backups
	require.NoError(t, json.Unmarshal([]byte(`{"backups": 0,
		"archive": {"last": "2026-11-22T04:00:00Z", "size": "5.2 MB", "gap": true}}`), &b))
	jobsTest{backups: &b, lines: append(backupLine("none"),
		[2]string{"archive", "project: 60m old, 5.2 MB; log is missing in it"})}.run(t)
}

func backupLine(text string) [][2]string { return [][2]string{{"backup", "project: " + text}} }

func TestStatusOfBackups(t *testing.T) {
	made := newestBackup(t, `"ended": "2026-11-22T02:00:00Z", "backup": "a"`)
	failedSince := newestBackup(t, `"ended": "2026-11-22T04:00:00Z", "error": "no such host"`)
	isMade := backupLine("a, verified, 4h old, 1.2 kB; 2 in all")
	for name, test := range map[string]jobsTest{
		"no backup yet": {
			jobs: []job{newJob("backup", "backup", 3, "")}, backups: &backups{}, lines: backupLine("none"),
		},
		"one without its Job": {backups: made, lines: isMade},
		"one after a failure": {jobs: []job{newJob("backup", "backup", 1, "Failed")}, backups: made, lines: isMade},
		"failed": {
			jobs: []job{ofCronJob(newJob("backup", "nightly", 4, "Failed")),
				newJob("backup", "backup", 1, "Complete")},
			pods:    []pod{newPod("nightly", 4, failedBecause("no backup: store the dump: no such host"))},
			backups: failedSince, lines: isMade,
			faults: []string{"project/nightly failed 60m ago: no backup: store the dump: no such host"},
		},
		"failed, and the Job is gone": {
			backups: failedSince, lines: isMade,
			faults: []string{"project: the last backup failed 60m ago: no such host"},
		},
		"trying again": {jobs: []job{newJob("backup", "backup", 4, "")}, backups: failedSince, lines: isMade},
		"succeeded since": {
			jobs:    []job{newJob("backup", "after", 2, "Complete"), newJob("backup", "before", 1, "Failed")},
			backups: made, lines: isMade,
		},
		"killed": {
			jobs: []job{newJob("backup", "backup", 4, "Failed")},
			pods: []pod{newPod("backup", 4, terminated{Reason: "OOMKilled"})}, backups: made, lines: isMade,
			faults: []string{"project/backup failed 60m ago: OOMKilled"},
		},
		"ended by Kubernetes": {
			jobs: []job{newJob("backup", "backup", 4, "Failed")}, backups: made, lines: isMade,
			faults: []string{"project/backup failed 60m ago: said of the Job"},
		},
		"a store that does not answer": {
			backups: &backups{err: errors.New("exit status 1: no such host")},
			lines:   backupLine("not known: exit status 1: no such host"),
			faults:  []string{"project: the backups are not known: exit status 1: no such host"},
		},
		"a pod that is not ready is reported elsewhere": {
			backups: &backups{err: errNotReady}, lines: backupLine("not known: its pod of metrics is not ready"),
		},
		"a pod that does not exist": {
			jobs:   []job{newJob("backup", "backup", 4, "Complete")},
			lines:  backupLine("not known: there is no pod of backup-metrics"),
			faults: []string{"project: the backups are not known: there is no pod of backup-metrics"},
		},
	} {
		t.Run(name, test.run)
	}
}

func TestStatusOfOtherJobs(t *testing.T) {
	daily := cron(at(3).Add(30 * time.Minute))
	dailyLine := func(text string) [][2]string { return [][2]string{{"daily-todo", "project: " + text}} }
	for name, test := range map[string]jobsTest{
		"a daily todo":     {cronJobs: daily, lines: dailyLine("succeeded 90m ago")},
		"the first is due": {cronJobs: cron(time.Time{}), lines: dailyLine("has not succeeded yet")},
		"a daily todo failed": {
			cronJobs: daily, jobs: []job{ofCronJob(newJob("daily-todo", "daily", 4, "Failed"))},
			pods:  []pod{newPod("daily", 4, failedBecause("find a random article: no answer"))},
			lines: dailyLine("daily failed 60m ago: find a random article: no answer; it succeeded 90m ago"),
		},
		"a Job failed": {
			jobs:   []job{newJob("restore", "restore", 4, "Failed")},
			faults: []string{"project/restore failed 60m ago: said of the Job"},
		},
		"a Job succeeded": {jobs: []job{newJob("restore", "restore", 4, "Complete")}},
		"a Job by hand failed": {
			jobs:   []job{newJob("daily-todo", "by-hand", 4, "Failed")},
			faults: []string{"project/by-hand failed 60m ago: said of the Job"},
		},
	} {
		t.Run(name, test.run)
	}
}

func at(hour int) time.Time { return time.Date(2026, 11, 22, hour, 0, 0, 0, time.UTC) }

func TestAges(t *testing.T) {
	for is, want := range map[time.Duration]string{
		-time.Second: "-1s", 0: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 119 * time.Minute: "119m",
		2 * time.Hour: "2h", 47 * time.Hour: "47h", 50 * time.Hour: "2d",
	} {
		assert.Equal(t, want, age(at(5), at(5).Add(-is)))
	}
}

package cluster

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStatusTellsOfBackups(t *testing.T) {
	jobOf := func(app, name string, hour int, end string) (j job) {
		j.Metadata = metadata{Namespace: "project", Name: name, CreationTimestamp: at(hour)}
		j.Spec.Template.Metadata.Labels = map[string]string{"app": app}
		j.Status.Conditions = []condition{
			{Type: "SuccessCriteriaMet", Status: "False"},
			{Type: end, Status: "True", Message: "said of the Job", LastTransitionTime: at(hour)},
		}
		return j
	}
	ofCronJob := func(j job) job {
		j.Metadata.OwnerReferences = []owner{{"CronJob"}}
		return j
	}
	podOf := func(job string, hour int, end terminated) (p pod) {
		p.Metadata = metadata{
			Namespace: "project", CreationTimestamp: at(hour),
			Labels: map[string]string{"batch.kubernetes.io/job-name": job},
		}
		p.Status.ContainerStatuses = make([]containerStatus, 1)
		p.Status.ContainerStatuses[0].State.Terminated = &end
		return p
	}
	says := func(line string) terminated { return terminated{Message: line, FinishedAt: at(4)} }
	daily := cronJobList{}
	require.NoError(t, json.Unmarshal([]byte(`{"items": [
		{"metadata": {"namespace": "project", "name": "backup"}, "status": {"lastSuccessfulTime": "2026-11-22T01:00:00Z"}},
		{"metadata": {"namespace": "project", "name": "daily-todo"}, "status": {"lastSuccessfulTime": "2026-11-22T03:30:00Z"}}
	]}`), &daily))
	fresh := cronJobList{Items: daily.Items[1:2:2]}
	fresh.Items = append(cronJobList{}.Items, fresh.Items...)
	fresh.Items[0].Status.LastSuccessfulTime = time.Time{}

	// The newest backup was taken at 1 and verified at 2.
	var empty, made, failedSince store
	require.NoError(t, json.Unmarshal([]byte(`{"backups": 0}`), &empty))
	const newest = `"backups": 2, "newest": {"name": "a", "taken": "2026-11-22T01:00:00Z", "verified": "2026-11-22T02:00:00Z", "size": "1.2 kB"}`
	require.NoError(t, json.Unmarshal([]byte(`{`+newest+
		`, "lastRun": {"ended": "2026-11-22T02:00:00Z", "backup": "a"}}`), &made))
	require.NoError(t, json.Unmarshal([]byte(`{`+newest+
		`, "lastRun": {"ended": "2026-11-22T04:00:00Z", "error": "no such host"}}`), &failedSince))
	const (
		isMade      = "project: a, verified, 4h old, 1.2 kB; 2 in all"
		succeeded   = "project: succeeded 90m ago"
		failedDaily = `project: daily failed 60m ago: find a random article: no answer; it succeeded 90m ago`
	)
	refused := says(`{"ended": "2026-11-22T04:00:00Z", "ok": false, "said": "find a random article: no answer"}` + "\n")
	for name, test := range map[string]struct {
		cronJobs cronJobList
		jobs     []job
		pods     []pod
		store    *store
		lines    [][2]string
		faults   []string
	}{
		"no backup yet": {jobs: []job{jobOf("backup", "backup", 3, "")}, store: &empty,
			lines: [][2]string{{"backup", "project: none"}}},
		"one whose Job is gone": {store: &made, lines: [][2]string{{"backup", isMade}}},
		"one that was made after a failure": {
			jobs: []job{jobOf("backup", "backup", 1, "Failed")}, store: &made, lines: [][2]string{{"backup", isMade}},
		},
		"failed": {
			jobs: []job{ofCronJob(jobOf("backup", "nightly", 4, "Failed")), jobOf("backup", "backup", 1, "Complete")},
			pods: []pod{podOf("nightly", 4,
				says(`{"ended": "2026-11-22T04:00:00Z", "ok": false, "said": "no backup: store the dump: no such host"}`))},
			store: &failedSince, lines: [][2]string{{"backup", isMade}},
			faults: []string{"project/nightly failed 60m ago: no backup: store the dump: no such host"},
		},
		"failed, and the Job is gone": {
			store: &failedSince, lines: [][2]string{{"backup", isMade}},
			faults: []string{"project: the last backup failed 60m ago: no such host"},
		},
		"trying again": {jobs: []job{jobOf("backup", "backup", 4, "")}, store: &failedSince,
			lines: [][2]string{{"backup", isMade}}},
		"succeeded since": {
			jobs:  []job{jobOf("backup", "after", 2, "Complete"), jobOf("backup", "before", 1, "Failed")},
			store: &made, lines: [][2]string{{"backup", isMade}},
		},
		"killed": {
			jobs:  []job{jobOf("backup", "backup", 4, "Failed")},
			pods:  []pod{podOf("backup", 4, terminated{ExitCode: 137, Reason: "OOMKilled", FinishedAt: at(4)})},
			store: &made, lines: [][2]string{{"backup", isMade}},
			faults: []string{"project/backup failed 60m ago: OOMKilled"},
		},
		"ended by Kubernetes": {
			jobs: []job{jobOf("backup", "backup", 4, "Failed")}, store: &made, lines: [][2]string{{"backup", isMade}},
			faults: []string{"project/backup failed 60m ago: said of the Job"},
		},
		"a store that does not answer": {
			store:  &store{err: errors.New("exit status 1: no such host")},
			lines:  [][2]string{{"backup", "project: not known: exit status 1: no such host"}},
			faults: []string{"project: the backups are not known: exit status 1: no such host"},
		},
		"a pod that is not ready is told elsewhere": {
			store: &store{err: errNotReady},
			lines: [][2]string{{"backup", "project: not known: pod backup-metrics is not ready"}},
		},
		"a pod that is not there": {
			jobs:   []job{jobOf("backup", "backup", 4, "Complete")},
			lines:  [][2]string{{"backup", "project: not known: there is no pod of backup-metrics"}},
			faults: []string{"project: the backups are not known: there is no pod of backup-metrics"},
		},

		"a daily todo": {cronJobs: daily, lines: [][2]string{{"daily-todo", succeeded}}},
		"a daily todo that comes": {cronJobs: fresh,
			lines: [][2]string{{"daily-todo", "project: has not succeeded yet"}}},
		"a daily todo that failed": {
			cronJobs: daily, jobs: []job{ofCronJob(jobOf("daily-todo", "daily", 4, "Failed"))},
			pods: []pod{podOf("daily", 4, refused)}, lines: [][2]string{{"daily-todo", failedDaily}},
		},
		"another Job that failed": {
			jobs:   []job{jobOf("restore", "restore", 4, "Failed")},
			faults: []string{"project/restore failed 60m ago: said of the Job"},
		},
		"another Job that succeeded": {jobs: []job{jobOf("restore", "restore", 4, "Complete")}},
		"one of nobody's that failed": {
			jobs:   []job{jobOf("daily-todo", "by-hand", 4, "Failed")},
			faults: []string{"project/by-hand failed 60m ago: said of the Job"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			stores := map[string]store{}
			if test.store != nil {
				stores["project"] = *test.store
			}
			var status Status
			status.addJobs(test.cronJobs, jobList{test.jobs}, podList{test.pods}, stores, at(5))
			assert.Equal(t, Status{Lines: test.lines, Faults: test.faults}, status)
		})
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

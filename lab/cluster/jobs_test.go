package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestStatusTellsOfBackups(t *testing.T) {
	jobOf := func(app, name string, hour int, end string) (j job) {
		j.Metadata = metadata{Namespace: "project", Name: name, CreationTimestamp: at(hour)}
		j.Spec.Template.Metadata.Labels = map[string]string{"app": app}
		j.Status.Conditions = []condition{{Type: "SuccessCriteriaMet", Status: "False"}, {Type: end, Status: "True", Message: "said of the Job"}}
		return j
	}
	podOf := func(job string, hour int, message string) (p pod) {
		p.Metadata = metadata{Namespace: "project", CreationTimestamp: at(hour),
			Labels: map[string]string{"batch.kubernetes.io/job-name": job}}
		p.Status.ContainerStatuses = make([]containerStatus, 1)
		p.Status.ContainerStatuses[0].State.Terminated = &struct{ Message string }{message}
		return p
	}
	older, newer := jobOf("backup", "older", 1, "Complete"), jobOf("backup", "newer", 3, "Complete")
	failed, running := jobOf("backup", "newer", 3, "Failed"), jobOf("backup", "newer", 3, "")
	made := podOf("older", 1, "verified backup 20261122T010000Z-1a2b3c: 3 tables, 9 rows, 1.2 kB in 4.7s\n")
	madeLater := podOf("newer", 4, "verified backup 20261122T040000Z-4d5e6f: 3 tables, 12 rows, 1.5 MB in 1m5s\n")
	broke := podOf("newer", 3, "a line of the log\nno backup: store the dump: no such host\n")
	brokeLater := podOf("newer", 4, "no backup: take a snapshot of the database: refused\n")
	checked := podOf("newer", 4, "verified 20261122T010000Z-1a2b3c: restored and compared\n")
	const (
		first  = "project: 20261122T010000Z-1a2b3c, verified, 4h0m0s old, 1.2 kB in 4.7s"
		second = "project: 20261122T040000Z-4d5e6f, verified, 1h0m0s old, 1.5 MB in 1m5s"
	)
	for name, test := range map[string]struct {
		jobs  []job
		pods  []pod
		says  string
		fault string
	}{
		"none yet":                {[]job{running}, nil, "project: none", ""},
		"the newer one":           {[]job{newer, older}, []pod{madeLater, made}, second, ""},
		"after another try":       {[]job{newer}, []pod{madeLater, broke}, second, ""},
		"still trying":            {[]job{older, running}, []pod{made, broke}, first, ""},
		"a check makes none":      {[]job{older, newer}, []pod{made, checked}, first, ""},
		"failed":                  {[]job{failed, older}, []pod{brokeLater, made, broke}, first, "project/newer failed: no backup: take a snapshot of the database: refused"},
		"failed without a pod":    {[]job{failed}, nil, "project: none", "project/newer failed: said of the Job"},
		"failed before":           {[]job{jobOf("backup", "before", 0, "Failed"), older}, []pod{made}, first, ""},
		"another app's Job since": {[]job{failed, jobOf("daily-todo", "daily", 4, "Complete")}, []pod{broke}, "project: none", "project/newer failed: no backup: store the dump: no such host"},
		"another app's alone":     {[]job{jobOf("daily-todo", "daily", 4, "Failed")}, nil, "", "project/daily failed: said of the Job"},
	} {
		t.Run(name, func(t *testing.T) {
			var want, status Status
			if test.says != "" {
				want.add("backup", "%s", test.says)
			}
			if test.fault != "" {
				want.fault("%s", test.fault)
			}
			status.addJobs(jobList{test.jobs}, podList{test.pods}, at(5))
			assert.Equal(t, want, status)
		})
	}
}

func at(hour int) time.Time { return time.Date(2026, 11, 22, hour, 0, 0, 0, time.UTC) }

package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
)

// backupApp is what the stack calls the Jobs of backups. Its pods that know which backups exist are called
// the same with metricsSuffix. Databases that users have added put their name before both.
const (
	backupApp     = "backup"
	metricsSuffix = "-metrics"
)

// outcome is the line of JSON in the termination message of a Job's pod. Package app/internal/outcome writes
// it.
type outcome struct {
	Ended time.Time
	Said  string
}

// outcome returns how a pod has ended, or zero if it has not. If it was killed, Kubernetes says why.
func (p pod) outcome() (o outcome) {
	for _, container := range p.Status.ContainerStatuses {
		end := container.State.Terminated
		if end == nil {
			continue
		}
		if json.Unmarshal([]byte(end.Message), &o) != nil || o.Ended.IsZero() {
			message := strings.TrimSpace(end.Message)
			o = outcome{end.FinishedAt, cmp.Or(message[strings.LastIndex(message, "\n")+1:], end.Reason)}
		}
	}
	return o
}

// backups is what a pod backup-metrics says about the backups of its database.
type backups struct {
	Backups int
	Newest  struct {
		Name            string
		Taken, Verified time.Time
		Size            string
	}
	LastRun struct {
		Ended time.Time
		Error string
	}
	Archive *logArchive // nil if the database has none
	err     error       // why nothing is known
}

// logArchive is what the store has of a database's log.
type logArchive struct {
	Last time.Time
	Size string
	Gap  bool
}

func (a logArchive) describe(now time.Time) string {
	text := fmt.Sprintf("%s old, %s", age(now, a.Last), a.Size)
	if a.Gap {
		text += "; log is missing in it"
	}
	return text
}

var errNotReady = errors.New("its pod of metrics is not ready")

// backups asks for the backups of each database. They outlive their Jobs and pods.
func (s server) backups(ctx context.Context, pods podList) map[jobKind]backups {
	all := map[jobKind]backups{}
	for _, pod := range pods.Items {
		app, is := strings.CutSuffix(pod.Metadata.Labels["app"], metricsSuffix)
		kind := jobKind{pod.Metadata.Namespace, app}
		if !is || !kind.isBackup() {
			continue
		}
		if pod.notReady() != "" {
			all[kind] = backups{err: errNotReady}
			continue
		}
		end := progress.Start("asking for the backups of "+kind.database(), nil)
		all[kind] = s.askForBackups(ctx, pod)
		end()
	}
	return all
}

func (s server) askForBackups(ctx context.Context, pod pod) (b backups) {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	out, err := s.kubectl(ctx, "exec", "--namespace", pod.Metadata.Namespace, pod.Metadata.Name,
		"--", "backup", "status")
	if err != nil {
		return backups{err: err}
	}
	for line := range strings.Lines(string(out)) { // among lines of the log
		if strings.HasPrefix(line, "{") {
			b.err = json.Unmarshal([]byte(line), &b)
			return b
		}
	}
	return backups{err: fmt.Errorf("backup status says %q", out)}
}

func (b backups) describe(now time.Time) string {
	switch {
	case b.err != nil:
		return fmt.Sprintf("not known: %v", b.err)
	case b.Backups == 0:
		return "none"
	default:
		return fmt.Sprintf("%s, verified, %s old, %s; %d in all", b.Newest.Name, age(now, b.Newest.Taken),
			b.Newest.Size, b.Backups)
	}
}

// jobKind is what Jobs do, and where.
type jobKind struct{ namespace, app string }

func (k jobKind) isBackup() bool {
	return k.app == backupApp || strings.HasSuffix(k.app, "-"+backupApp)
}

// database is the namespace of a backup, and the name of a database that users have added.
func (k jobKind) database() string {
	return strings.TrimRight(k.namespace+" "+strings.TrimSuffix(k.app, backupApp), " -")
}

func compareKinds(a, b jobKind) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.app, b.app))
}

// jobReport sums up the Jobs of each kind.
type jobReport struct {
	newest   map[jobKind]job   // the newest one that has ended
	active   map[jobKind]bool  // one has not ended
	messages map[string]string // the last words of a Job's pods, by namespace/name
	now      time.Time
}

func newJobReport(jobs jobList, pods podList, now time.Time) jobReport {
	byAge := func(a, b metadata) int { return a.CreationTimestamp.Compare(b.CreationTimestamp) }
	slices.SortFunc(jobs.Items, func(a, b job) int { return byAge(a.Metadata, b.Metadata) })
	slices.SortFunc(pods.Items, func(a, b pod) int { return byAge(a.Metadata, b.Metadata) })
	r := jobReport{map[jobKind]job{}, map[jobKind]bool{}, map[string]string{}, now}
	for _, pod := range pods.Items {
		if o := pod.outcome(); !o.Ended.IsZero() {
			r.messages[pod.Metadata.Namespace+"/"+pod.job()] = o.Said
		}
	}
	for _, job := range jobs.Items {
		if job.end().Type == "" {
			r.active[job.kind()] = true
		} else {
			r.newest[job.kind()] = job
		}
	}
	return r
}

// failure says when and why the newest Job has failed, or "" if it has not.
func (r jobReport) failure(kind jobKind) string {
	end := r.newest[kind].end()
	if end.Type != "Failed" {
		return ""
	}
	name := kind.namespace + "/" + r.newest[kind].Metadata.Name
	return fmt.Sprintf("%s failed %s ago: %s", name, age(r.now, end.LastTransitionTime),
		cmp.Or(r.messages[name], end.Message))
}

// addJobs adds the newest backup of each database and the newest Job of each other CronJob. Jobs that failed
// for good are faults. Pods are not, since their Job tries again, nor Jobs of a CronJob, which makes others,
// but a missing backup is.
func (s *Status) addJobs(cronJobs cronJobList, jobs jobList, pods podList, known map[jobKind]backups,
	now time.Time) {
	r := newJobReport(jobs, pods, now)
	for _, job := range jobs.Items {
		kind := job.kind()
		if _, ok := known[kind]; kind.isBackup() && !ok {
			known[kind] = backups{err: fmt.Errorf("there is no pod of %s", kind.app+metricsSuffix)}
		}
	}
	for _, kind := range slices.SortedFunc(maps.Keys(known), compareKinds) {
		s.addBackups(kind, known[kind], r)
	}
	for _, cron := range cronJobs.Items {
		kind := jobKind{cron.Metadata.Namespace, cron.Metadata.Name}
		if kind.isBackup() {
			continue
		}
		last := "has not succeeded yet"
		if at := cron.Status.LastSuccessfulTime; !at.IsZero() {
			last = "succeeded " + age(now, at) + " ago"
		}
		if failure := r.failure(kind); failure != "" {
			last = strings.TrimPrefix(failure, kind.namespace+"/") + "; it " + last
		}
		s.add(kind.app, "%s: %s", kind.namespace, last)
	}
	for _, kind := range slices.SortedFunc(maps.Keys(r.newest), compareKinds) {
		if failure := r.failure(kind); failure != "" && !kind.isBackup() && !r.newest[kind].ofCronJob() {
			s.fault("%s", failure)
		}
	}
}

func (s *Status) addBackups(kind jobKind, b backups, r jobReport) {
	s.add(backupApp, "%s: %s", kind.database(), b.describe(r.now))
	if b.Archive != nil {
		s.add("archive", "%s: %s", kind.database(), b.Archive.describe(r.now))
	}
	failure := r.failure(kind)
	switch {
	case failure != "" && !b.Newest.Verified.After(r.newest[kind].end().LastTransitionTime):
		s.fault("%s", failure)
	case b.err != nil && !errors.Is(b.err, errNotReady):
		s.fault("%s: the backups are not known: %v", kind.database(), b.err)
	case b.LastRun.Error != "" && !r.active[kind]:
		s.fault("%s: the last backup failed %s ago: %s", kind.database(), age(r.now, b.LastRun.Ended),
			b.LastRun.Error)
	}
}

// age returns the time since then as kubectl does, in the largest unit that gives at least two.
func age(now, then time.Time) string {
	d := now.Sub(then)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

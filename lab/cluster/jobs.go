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

// Names that the stack gives its Jobs, and the pods that know what is in the store of backups.
const (
	backupApp  = "backup"
	metricsApp = "backup-metrics"
)

type jobList struct{ Items []job }

type job struct {
	Metadata metadata
	Spec     struct{ Template struct{ Metadata metadata } }
	Status   struct{ Conditions []condition }
}

// app is a label of the pods; Jobs have it only if a CronJob has made them.
func (j job) app() string { return j.Spec.Template.Metadata.Labels["app"] }

// end is the condition that says how the Job has ended; its type is empty until then.
func (j job) end() condition {
	for _, c := range j.Status.Conditions {
		if (c.Type == "Complete" || c.Type == "Failed") && c.Status == "True" {
			return c
		}
	}
	return condition{}
}

// comesAgain says whether a CronJob made the Job, and will make another one.
func (j job) comesAgain() bool {
	return slices.ContainsFunc(j.Metadata.OwnerReferences, func(o owner) bool { return o.Kind == "CronJob" })
}

type cronJobList struct {
	Items []struct {
		Metadata metadata
		Status   struct{ LastSuccessfulTime time.Time }
	}
}

// job is the name of the pod's Job; empty if it has none.
func (p pod) job() string { return p.Metadata.Labels["batch.kubernetes.io/job-name"] }

// outcome is the line of JSON with which a Job's pod ends.
type outcome struct {
	Ended time.Time
	OK    bool
	Said  string
}

// outcome of a pod; zero until it has ended. One that was killed has left what Kubernetes says of it.
func (p pod) outcome() (o outcome) {
	for _, container := range p.Status.ContainerStatuses {
		end := container.State.Terminated
		if end == nil {
			continue
		}
		if json.Unmarshal([]byte(end.Message), &o) != nil || o.Ended.IsZero() {
			message := strings.TrimSpace(end.Message)
			o = outcome{Ended: end.FinishedAt, OK: end.ExitCode == 0,
				Said: cmp.Or(message[strings.LastIndex(message, "\n")+1:], end.Reason)}
		}
	}
	return o
}

// store is what a namespace's pod backup-metrics says of its backups.
type store struct {
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
	// err is why it is not known.
	err error
}

var errNotReady = errors.New("pod " + metricsApp + " is not ready")

// stores asks for the backups of each namespace that has any: they are there when Jobs and pods that made
// them are gone.
func (s server) stores(ctx context.Context, pods podList) map[string]store {
	all := map[string]store{}
	for _, pod := range pods.Items {
		if pod.Metadata.Labels["app"] != metricsApp {
			continue
		}
		if why := pod.trouble(); why != "" {
			all[pod.Metadata.Namespace] = store{err: errNotReady}
			continue
		}
		end := progress.Start("asking for the backups of "+pod.Metadata.Namespace, nil)
		all[pod.Metadata.Namespace] = s.store(ctx, pod)
		end()
	}
	return all
}

func (s server) store(ctx context.Context, pod pod) (is store) {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	out, err := s.kubectl(ctx, "exec", "--namespace", pod.Metadata.Namespace, pod.Metadata.Name, "--", "backup",
		"status")
	if err != nil {
		return store{err: err}
	}
	for line := range strings.Lines(string(out)) { // the log is beside it
		if strings.HasPrefix(line, "{") {
			is.err = json.Unmarshal([]byte(line), &is)
			return is
		}
	}
	return store{err: fmt.Errorf("backup status says %q", out)}
}

func older(a, b metadata) int { return a.CreationTimestamp.Compare(b.CreationTimestamp) }

// place is where Jobs of one kind are.
type place struct{ namespace, app string }

// addJobs tells of the newest backup of each namespace, of the newest Job of each other CronJob, and which
// Job has failed that nothing makes up for. A pod that failed is no fault: its Job tries again. Nor is a Job
// of a CronJob, which makes another one; but that there is no new backup is.
func (s *Status) addJobs(cronJobs cronJobList, jobs jobList, pods podList, stores map[string]store,
	now time.Time) {
	slices.SortFunc(jobs.Items, func(a, b job) int { return older(a.Metadata, b.Metadata) })
	slices.SortFunc(pods.Items, func(a, b pod) int { return older(a.Metadata, b.Metadata) })
	said := map[string]string{} // by namespace and Job
	for _, pod := range pods.Items {
		if o := pod.outcome(); !o.Ended.IsZero() {
			said[pod.Metadata.Namespace+"/"+pod.job()] = o.Said
		}
	}
	newest, runs := map[place]job{}, map[place]bool{} // the newest that has ended, and whether one has not
	for _, job := range jobs.Items {
		where := place{job.Metadata.Namespace, job.app()}
		if job.end().Type == "" {
			runs[where] = true
		} else {
			newest[where] = job
		}
		if _, known := stores[where.namespace]; where.app == backupApp && !known {
			stores[where.namespace] = store{err: fmt.Errorf("there is no pod of %s", metricsApp)}
		}
	}
	// failure says when and why the newest Job has failed; empty if it has not.
	failure := func(where place) string {
		end := newest[where].end()
		if end.Type != "Failed" {
			return ""
		}
		name := where.namespace + "/" + newest[where].Metadata.Name
		return fmt.Sprintf("%s failed %s ago: %s", name, age(now, end.LastTransitionTime),
			cmp.Or(said[name], end.Message))
	}
	for _, namespace := range slices.Sorted(maps.Keys(stores)) {
		is, where := stores[namespace], place{namespace, backupApp}
		s.add(backupApp, "%s: %s", namespace, is.describe(now))
		failed := failure(where)
		switch {
		case failed != "" && !is.Newest.Verified.After(newest[where].end().LastTransitionTime):
			s.fault("%s", failed)
		case is.err != nil && !errors.Is(is.err, errNotReady):
			s.fault("%s: the backups are not known: %v", namespace, is.err)
		case is.LastRun.Error != "" && !runs[where]:
			s.fault("%s: the last backup failed %s ago: %s", namespace, age(now, is.LastRun.Ended), is.LastRun.Error)
		}
	}
	for _, cron := range cronJobs.Items {
		where := place{cron.Metadata.Namespace, cron.Metadata.Name}
		if where.app == backupApp {
			continue
		}
		last := "has not succeeded yet"
		if at := cron.Status.LastSuccessfulTime; !at.IsZero() {
			last = "succeeded " + age(now, at) + " ago"
		}
		if failed := failure(where); failed != "" {
			last = strings.TrimPrefix(failed, where.namespace+"/") + "; it " + last
		}
		s.add(where.app, "%s: %s", where.namespace, last)
	}
	for _, where := range slices.SortedFunc(maps.Keys(newest), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.app, b.app))
	}) {
		if failed := failure(where); failed != "" && where.app != backupApp && !newest[where].comesAgain() {
			s.fault("%s", failed)
		}
	}
}

// describe tells of the newest backup.
func (s store) describe(now time.Time) string {
	switch {
	case s.err != nil:
		return fmt.Sprintf("not known: %v", s.err)
	case s.Backups == 0:
		return "none"
	default:
		return fmt.Sprintf("%s, verified, %s old, %s; %d in all", s.Newest.Name, age(now, s.Newest.Taken),
			s.Newest.Size, s.Backups)
	}
}

// age is how long ago something was, as kubectl says it: in the largest unit of which that is more than one.
func age(now, since time.Time) string {
	is := now.Sub(since)
	switch {
	case is < 2*time.Minute:
		return fmt.Sprintf("%ds", int(is.Seconds()))
	case is < 2*time.Hour:
		return fmt.Sprintf("%dm", int(is.Minutes()))
	case is < 48*time.Hour:
		return fmt.Sprintf("%dh", int(is.Hours()))
	default:
		return fmt.Sprintf("%dd", int(is.Hours()/24))
	}
}

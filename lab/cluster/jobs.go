package cluster

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
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

// job is the name of the pod's Job; empty if it has none.
func (p pod) job() string { return p.Metadata.Labels["batch.kubernetes.io/job-name"] }

// lastWord is the last line that the pod's containers left when they ended.
func (p pod) lastWord() (line string) {
	for _, container := range p.Status.ContainerStatuses {
		if end := container.State.Terminated; end != nil {
			message := strings.TrimSpace(end.Message)
			line = message[strings.LastIndex(message, "\n")+1:]
		}
	}
	return line
}

func older(a, b metadata) int { return a.CreationTimestamp.Compare(b.CreationTimestamp) }

// addJobs tells of the newest backup of each namespace that makes any, and which app's newest Job has failed. A pod that failed is
// no fault by itself: its Job tries again.
func (s *Status) addJobs(jobs jobList, pods podList, now time.Time) {
	slices.SortFunc(jobs.Items, func(a, b job) int { return older(a.Metadata, b.Metadata) })
	slices.SortFunc(pods.Items, func(a, b pod) int { return older(a.Metadata, b.Metadata) })
	lastWords := map[string]string{} // by namespace and Job
	for _, pod := range pods.Items {
		lastWords[pod.Metadata.Namespace+"/"+pod.job()] = pod.lastWord()
	}
	faults, backups := map[string]string{}, map[string]string{} // by namespace and app, by namespace
	for _, job := range jobs.Items {
		namespace, app := job.Metadata.Namespace, job.app()
		if app == "backup" {
			backups[namespace] = "none"
		}
		switch end, name := job.end(), namespace+"/"+job.Metadata.Name; end.Type {
		case "Complete":
			delete(faults, namespace+"/"+app)
		case "Failed":
			faults[namespace+"/"+app] = fmt.Sprintf("%s failed: %s", name, cmp.Or(lastWords[name], end.Message))
		}
	}
	for _, pod := range pods.Items {
		if namespace := pod.Metadata.Namespace; backups[namespace] != "" {
			backups[namespace] = cmp.Or(describe(pod.lastWord(), now), backups[namespace])
		}
	}
	for _, namespace := range slices.Sorted(maps.Keys(backups)) {
		s.add("backup", "%s: %s", namespace, backups[namespace])
	}
	for _, app := range slices.Sorted(maps.Keys(faults)) {
		s.fault("%s", faults[app])
	}
}

// verified is what a pod that has made a backup says at last. The backup's name begins with the time of what is in it.
var verified = regexp.MustCompile(`^verified backup ((\d{8}T\d{6}Z)-\w+): \d+ tables, \d+ rows, (.+ in .+)$`)

// describe tells of a backup what its pod said at last; it is empty if that made none.
func describe(lastWord string, now time.Time) string {
	parts := verified.FindStringSubmatch(lastWord)
	if parts == nil {
		return ""
	}
	taken, err := time.Parse("20060102T150405Z", parts[2])
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s, verified, %s old, %s", parts[1], now.Sub(taken).Round(time.Second), parts[3])
}

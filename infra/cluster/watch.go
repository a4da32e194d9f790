package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

const (
	// interval is the time between two polls. A reason is reported if two polls in a row find it.
	interval = 10 * time.Second
	// logLines is how many of a log's last lines are shown.
	logLines = 10
	// fresh is the age above which a log's last lines are shown with their age.
	fresh = time.Minute
	// slowStart is how long a container may run without being ready.
	slowStart = 2 * time.Minute
)

// starting are the harmless reasons for a container to wait.
var starting = []string{"ContainerCreating", "PodInitializing"}

// Watch reports why pods in the namespaces are not ready, each reason once, until the context ends.
func (r Requirements) Watch(ctx context.Context, client kubernetes.Interface, warn func(string)) {
	w := &watcher{client: client, warn: warn, since: time.Now(), refusals: map[string]int32{},
		reported: map[string]bool{}}
	wait.UntilWithContext(ctx, func(ctx context.Context) { w.poll(ctx, r.Namespaces) }, interval)
}

type watcher struct {
	client kubernetes.Interface
	warn   func(string)
	since  time.Time
	// before are the reasons that the last poll found, by pod.
	before map[string]string
	// refusals are the counts of events about refused pods.
	refusals map[string]int32
	reported map[string]bool
}

// poll ignores errors: Pulumi itself notices that the cluster is away.
func (w *watcher) poll(ctx context.Context, namespaces []string) {
	first, now := w.before == nil, map[string]string{}
	for _, namespace := range namespaces {
		pods, err := w.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			continue
		}
		for _, pod := range pods.Items {
			where, reason := w.reason(&pod)
			if reason == "" {
				continue
			}
			now[string(pod.UID)] = reason
			if w.before[string(pod.UID)] == reason {
				w.report(namespace+"/"+pod.Labels["app"]+reason, fmt.Sprintf("pod %s in %s is not ready: %s%s",
					pod.Name, namespace, reason, w.log(ctx, &pod, where)))
			}
		}
		w.findRefusals(ctx, namespace, first)
	}
	w.before = now
}

// reason returns why a pod is not ready, and the container at fault if it has a log. It skips pods of
// CronJobs, which are not part of the update. Jobs of CloudNativePG are.
func (w *watcher) reason(pod *corev1.Pod) (container, reason string) {
	job := pod.Labels["batch.kubernetes.io/job-name"]
	isOurs := job == "" || job == pod.Labels["app"] || pod.Labels["cnpg.io/cluster"] != ""
	if pod.DeletionTimestamp != nil || !isOurs {
		return "", ""
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return "", condition.Reason + ": " + condition.Message
		}
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		waiting, running, ended := status.State.Waiting, status.State.Running, status.State.Terminated
		last := status.LastTerminationState.Terminated
		switch {
		case waiting != nil && waiting.Reason == "CrashLoopBackOff" && last != nil:
			return status.Name, exit(status.Name, last)
		case waiting != nil && strings.Contains(waiting.Reason, "Image"):
			// ErrImagePull and ImagePullBackOff take turns.
			return "", fmt.Sprintf("container %s has no image: %s cannot be pulled", status.Name, status.Image)
		case waiting != nil && !slices.Contains(starting, waiting.Reason):
			return "", fmt.Sprintf("container %s waits: %s: %s", status.Name, waiting.Reason, waiting.Message)
		case ended != nil && ended.ExitCode != 0 && ended.FinishedAt.After(w.since):
			return status.Name, exit(status.Name, ended)
		case running != nil && !status.Ready && time.Since(running.StartedAt.Time) > slowStart &&
			pod.Status.Phase == corev1.PodRunning:
			return status.Name, fmt.Sprintf("container %s runs, and its probe fails", status.Name)
		}
	}
	return "", ""
}

func exit(container string, end *corev1.ContainerStateTerminated) string {
	return fmt.Sprintf("container %s has ended with exit code %d (%s)", container, end.ExitCode, end.Reason)
}

// log returns the end of the container's log, of its last run if it waits for the next one.
func (w *watcher) log(ctx context.Context, pod *corev1.Pod, container string) string {
	if container == "" {
		return ""
	}
	waits := slices.ContainsFunc(slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses),
		func(s corev1.ContainerStatus) bool {
			return s.Name == container && s.State.Waiting != nil
		})
	log, err := w.client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: container, Previous: waits, Timestamps: true,
		TailLines: ptr.To[int64](logLines), LimitBytes: ptr.To[int64](4096),
	}).DoRaw(ctx)
	if err != nil || len(log) == 0 {
		return ""
	}
	return lastWords(string(log), time.Now())
}

// lastWords returns the lines of a log without the times before them, and their age: a running container may
// have written them long before its probe failed.
func lastWords(log string, now time.Time) string {
	var lines []string
	var written time.Time
	for line := range strings.Lines(strings.TrimSpace(log)) {
		line = strings.TrimSuffix(line, "\n")
		stamp, rest, _ := strings.Cut(line, " ")
		if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
			written, line = at, rest
		}
		lines = append(lines, line)
	}
	when := ""
	if age := now.Sub(written); !written.IsZero() && age > fresh {
		when = ", " + duration.HumanDuration(age) + " ago"
	}
	return "; its last words" + when + ":\n" + strings.Join(lines, "\n")
}

// findRefusals reports pods that the cluster refuses to create, for example beyond a quota. Only events show
// them.
func (w *watcher) findRefusals(ctx context.Context, namespace string, first bool) {
	events, err := w.client.CoreV1().Events(namespace).List(ctx,
		metav1.ListOptions{FieldSelector: "reason=FailedCreate"})
	if err != nil {
		return
	}
	for _, event := range events.Items {
		again := event.Count > w.refusals[event.Name]
		w.refusals[event.Name] = event.Count
		if again && !first {
			workload := event.InvolvedObject
			w.report(namespace+"/"+workload.Name+event.Message, fmt.Sprintf("%s %s in %s gets no pod: %s",
				strings.ToLower(workload.Kind), workload.Name, namespace, event.Message))
		}
	}
}

func (w *watcher) report(key, message string) {
	if !w.reported[key] {
		w.reported[key] = true
		w.warn(message)
	}
}

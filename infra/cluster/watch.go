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
	// interval is how often pods are looked at. What is wrong twice is said.
	interval = 10 * time.Second
	// logLines is how much of the end of a container's log is shown.
	logLines = 10
	// fresh is how old the end of a log may be without that being said.
	fresh = time.Minute
	// slowStart is how long a container may run without being ready before that is said.
	slowStart = 2 * time.Minute
)

// starting are the reasons for a container to wait that are none to worry.
var starting = []string{"ContainerCreating", "PodInitializing"}

// Watch says of pods in the namespaces why they are not ready, each reason once, until the context ends.
func (r Requirements) Watch(ctx context.Context, client kubernetes.Interface, warn func(string)) {
	w := &watcher{client: client, warn: warn, since: time.Now(), refusals: map[string]int32{},
		said: map[string]bool{}}
	wait.UntilWithContext(ctx, func(ctx context.Context) { w.look(ctx, r.Namespaces) }, interval)
}

type watcher struct {
	client kubernetes.Interface
	warn   func(string)
	since  time.Time
	// before are the reasons of the last look, by pod and container; refusals how often pods were refused, by
	// event.
	before   map[string]string
	refusals map[string]int32
	said     map[string]bool
}

// look leaves out what the cluster does not answer: Pulumi notices that the cluster is away.
func (w *watcher) look(ctx context.Context, namespaces []string) {
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
				w.say(namespace+"/"+pod.Labels["app"]+reason,
					fmt.Sprintf("pod %s in %s is not ready: %s%s", pod.Name, namespace, reason, w.log(ctx, &pod, where)))
			}
		}
		w.lookForRefusals(ctx, namespace, first)
	}
	w.before = now
}

// reason returns why a pod is not ready, and the container at fault, if it is one and has run.
func (w *watcher) reason(pod *corev1.Pod) (container, reason string) {
	if job := pod.Labels["batch.kubernetes.io/job-name"]; pod.DeletionTimestamp != nil || job != "" &&
		job != pod.Labels["app"] {
		return "", "" // the Jobs of a CronJob are none of the update's
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
			// The two take turns, with messages of their own.
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

// log returns the end of what the container wrote, of its last run if it waits for the next one.
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

// lastWords are the lines of a log, each of which begins with its time, and how old they are: a container
// that runs may have written them long before it failed.
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

// lookForRefusals finds pods that the cluster did not let be made, such as beyond a quota: only events tell.
func (w *watcher) lookForRefusals(ctx context.Context, namespace string, first bool) {
	events, err := w.client.CoreV1().Events(namespace).List(ctx,
		metav1.ListOptions{FieldSelector: "reason=FailedCreate"})
	if err != nil {
		return
	}
	for _, event := range events.Items {
		again := event.Count > w.refusals[event.Name]
		w.refusals[event.Name] = event.Count
		if again && !first {
			of := event.InvolvedObject
			w.say(namespace+"/"+of.Name+event.Message,
				fmt.Sprintf("%s %s in %s gets no pod: %s", strings.ToLower(of.Kind), of.Name, namespace, event.Message))
		}
	}
}

func (w *watcher) say(key, message string) {
	if !w.said[key] {
		w.said[key] = true
		w.warn(message)
	}
}

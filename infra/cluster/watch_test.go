package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
)

var began = time.Now()

func pod(app string, status corev1.PodStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: app + "-0", Namespace: "project", UID: types.UID(app),
			Labels: map[string]string{"app": app}},
		Status: status,
	}
}

func container(state, last corev1.ContainerState) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{
		{Name: "server", Image: "redis:99", State: state, LastTerminationState: last},
	}}
}

func waiting(reason string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "as it is"}}
}

func ended(at time.Time, code int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error",
		FinishedAt: metav1.NewTime(at)}}
}

func running(since time.Time) corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(since)}}
}

// polls returns what each of several polls reports.
func polls(t *testing.T, client *fake.Clientset, number int) [][]string {
	t.Helper()
	said := make([][]string, number)
	current := 0
	w := &watcher{client: client, since: began, refusals: map[string]int32{}, reported: map[string]bool{},
		warn: func(reason string) { said[current] = append(said[current], reason) }}
	for current = range number {
		w.poll(t.Context(), []string{"exercises", "project"})
	}
	return said
}

func TestWhyPodsAreNotReady(t *testing.T) {
	const log = "; its last words:\nfake logs"
	for name, test := range map[string]struct {
		status corev1.PodStatus
		reason string
	}{
		"unschedulable": {corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable",
				Message: "0/1 nodes are available: 1 Insufficient memory."},
		}}, "Unschedulable: 0/1 nodes are available: 1 Insufficient memory."},
		"no image": {container(waiting("ImagePullBackOff"), corev1.ContainerState{}),
			"container server has no image: redis:99 cannot be pulled"},
		"no Secret": {container(waiting("CreateContainerConfigError"), corev1.ContainerState{}),
			"container server waits: CreateContainerConfigError: as it is"},
		"crash loop": {container(waiting("CrashLoopBackOff"), ended(began, 3)),
			"container server has ended with exit code 3 (Error)" + log},
		"crash loop of setup": {corev1.PodStatus{InitContainerStatuses: container(waiting("CrashLoopBackOff"),
			ended(began, 3)).ContainerStatuses}, "container server has ended with exit code 3 (Error)" + log},
		"failed": {container(ended(began.Add(time.Second), 1), corev1.ContainerState{}),
			"container server has ended with exit code 1 (Error)" + log},
		"probe": {container(running(began.Add(-slowStart-time.Second)), corev1.ContainerState{}),
			"container server runs, and its probe fails" + log},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset(pod("server", test.status))
			require.Equal(t, [][]string{nil, {"pod server-0 in project is not ready: " + test.reason}, nil},
				polls(t, client, 3))
		})
	}
}

func TestLastWordsHaveAnAge(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	const before = "2026-11-22T08:00:00.123456789Z level=INFO msg=ready\n"
	for name, test := range map[string]struct{ log, says string }{
		"just now": {before + "2026-11-22T09:59:30.5Z level=ERROR msg=stopped\n",
			"; its last words:\nlevel=INFO msg=ready\nlevel=ERROR msg=stopped"},
		"long ago": {"2026-11-22T09:19:59Z level=INFO msg=ready\n",
			"; its last words, 40m ago:\nlevel=INFO msg=ready"},
		"elsewhere": {"2026-11-22T10:20:00.5+01:00 a b\n2026-11-22T10:20:00.5+01:00 \n",
			"; its last words, 39m ago:\na b\n"},
		"no time": {"a line\n", "; its last words:\na line"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.says, lastWords(test.log, now)) })
	}
}

func TestPodsThatAreNotWatched(t *testing.T) {
	scheduled := pod("daily-todo", container(ended(began.Add(time.Second), 1), corev1.ContainerState{}))
	scheduled.Labels["batch.kubernetes.io/job-name"] = "daily-todo-29731"
	leaving := pod("leaving", container(waiting("CrashLoopBackOff"), ended(began, 1)))
	leaving.DeletionTimestamp, leaving.Finalizers = &metav1.Time{Time: began}, []string{"test/stay"}
	client := fake.NewClientset(scheduled, leaving,
		pod("starts", container(waiting("ContainerCreating"), corev1.ContainerState{})),
		pod("runs", container(running(began), corev1.ContainerState{})),
		pod("failed-before", container(ended(began.Add(-time.Minute), 1), corev1.ContainerState{})),
		pod("done", container(ended(began.Add(time.Second), 0), corev1.ContainerState{})),
	)
	require.Equal(t, [][]string{nil, nil, nil}, polls(t, client, 3))
}

func TestAJobOfTheUpdateThatFails(t *testing.T) {
	failed := pod("backup", container(ended(began.Add(time.Second), 1), corev1.ContainerState{}))
	failed.Labels["batch.kubernetes.io/job-name"] = "backup"
	require.Len(t, polls(t, fake.NewClientset(failed), 2)[1], 1)
	upgrade := pod("postgres-cluster", container(ended(began.Add(time.Second), 1), corev1.ContainerState{}))
	upgrade.Labels["batch.kubernetes.io/job-name"] = "postgres-1-major-upgrade"
	upgrade.Labels["cnpg.io/cluster"] = "postgres"
	require.Len(t, polls(t, fake.NewClientset(upgrade), 2)[1], 1)
}

// Pods of one app that fail alike are one fault.
func TestAFaultIsSaidOnce(t *testing.T) {
	other := pod("server", container(waiting("ErrImagePull"), corev1.ContainerState{}))
	other.Name, other.UID = "server-1", "another"
	client := fake.NewClientset(other,
		pod("server", container(waiting("ImagePullBackOff"), corev1.ContainerState{})))
	require.Equal(t, [][]string{nil,
		{"pod server-0 in project is not ready: container server has no image: redis:99 cannot be pulled"}},
		polls(t, client, 2))
}

func TestPodsThatAreNotLetBeMade(t *testing.T) {
	refusal := func(name string, count int32) *corev1.Event {
		return &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "project"}, Reason: "FailedCreate", Count: count,
			InvolvedObject: corev1.ObjectReference{Kind: "StatefulSet", Name: "postgres-ss"},
			Message:        "exceeded quota: " + name,
		}
	}
	client := fake.NewClientset(refusal("before", 1), refusal("still", 1))
	said := []string{}
	w := &watcher{client: client, refusals: map[string]int32{}, reported: map[string]bool{},
		warn: func(reason string) { said = append(said, reason) }}
	w.poll(t.Context(), []string{"project"})
	require.Empty(t, said)
	require.NoError(t, client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("events"),
		refusal("still", 2), "project"))
	require.NoError(t, client.Tracker().Add(refusal("new", 1)))
	w.poll(t.Context(), []string{"project"})
	w.poll(t.Context(), []string{"project"})
	require.Equal(t, []string{
		"statefulset postgres-ss in project gets no pod: exceeded quota: new",
		"statefulset postgres-ss in project gets no pod: exceeded quota: still",
	}, said)
}

func TestTheWatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		requirements.Watch(ctx, fake.NewClientset(), func(string) {})
	}()
	cancel()
	<-done
}

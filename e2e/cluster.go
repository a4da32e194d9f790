// Package e2e looks at the running stack from outside: its tests use a lab as a person would, with make,
// pulumi and a Kubernetes client, and stop, delete and kill what is in it.
package e2e

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	exercises = "exercises"
	project   = "project"
	storage   = "storage"

	statefulSet = "redis-stset"
	podSelector = "app=redisapp"

	// lasting are the stack's pods but for those of Jobs.
	lasting = "app,!batch.kubernetes.io/job-name"

	// patience is the longest that anything in the cluster may take. Kubernetes waits up to 5 minutes before it
	// restarts a container that has died often.
	patience = 8 * time.Minute
	poll     = 200 * time.Millisecond
)

var (
	redisPods = []string{statefulSet + "-0", statefulSet + "-1"}

	// podCount is how many pods each namespace has, without those of Jobs.
	podCount = map[string]int{
		exercises: 6, // Redis twice, Postgres, pingpong twice, backup-metrics
		project:   6, // Postgres, todo-backend twice, todo-frontend twice, backup-metrics
		storage:   1,
	}
)

// cluster is a namespace of a lab's Kubernetes.
type cluster struct {
	*kubernetes.Clientset
	t         *testing.T
	namespace string
	// own are the namespaces that the test may disturb, and whose pods it waits for.
	own []string
}

// connect is the namespace exercises. It fails the test at once outside of a lab's environment.
func connect(t *testing.T) *cluster {
	t.Helper()
	for _, variable := range []string{"STATEFUL_K3S_LAB", "KUBECONFIG", "PULUMI_STACK", "PULUMI_BACKEND_URL"} {
		if os.Getenv(variable) == "" {
			t.Fatalf("%s is not set: run `make test`, or `. .lab/env` first", variable)
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	require.NoError(t, err, "read KUBECONFIG")
	config.QPS = -1 // the load's look-ups do not hold up the test's own
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return &cluster{client, t, exercises, []string{exercises, project, storage}}
}

// in is another namespace.
func (c *cluster) in(namespace string) *cluster {
	other := *c
	other.namespace = namespace
	return &other
}

// eventually repeats an attempt until it returns no error.
func eventually(t *testing.T, attempt func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(poll) {
		if err = attempt(); err == nil {
			return
		}
	}
	t.Fatalf("still after %s: %v", patience, err)
}

// waitUntilReady waits for all pods of the test's namespaces.
func (c *cluster) waitUntilReady() {
	c.t.Helper()
	for _, namespace := range c.own {
		c.in(namespace).waitForPods(func(corev1.Pod) error { return nil })
	}
}

// waitForPods waits until all pods of the namespace are there, ready, and satisfy a condition. Those of Jobs
// do not count.
func (c *cluster) waitForPods(condition func(corev1.Pod) error) {
	c.t.Helper()
	eventually(c.t, func() error {
		pods, err := c.CoreV1().Pods(c.namespace).List(c.t.Context(), metav1.ListOptions{LabelSelector: lasting})
		if err != nil {
			return err
		}
		for _, pod := range pods.Items {
			err := condition(pod)
			if err == nil && !isReady(&pod) {
				err = fmt.Errorf("is not ready: %v", pod.Status.Conditions)
			}
			if err != nil {
				return fmt.Errorf("pod %s: %w", pod.Name, err)
			}
		}
		if len(pods.Items) != podCount[c.namespace] {
			return fmt.Errorf("%s has %d pods", c.namespace, len(pods.Items))
		}
		return nil
	})
}

// deleteAllPods deletes all pods of the namespace but those of Jobs at once, and returns when each has been
// replaced by a ready one.
func (c *cluster) deleteAllPods() {
	c.t.Helper()
	all := metav1.ListOptions{LabelSelector: lasting}
	pods, err := c.CoreV1().Pods(c.namespace).List(c.t.Context(), all)
	require.NoError(c.t, err)
	require.NoError(c.t, c.CoreV1().Pods(c.namespace).DeleteCollection(c.t.Context(), metav1.DeleteOptions{},
		all))
	c.waitForPods(noneOf(pods.Items))
}

// restart replaces the pods of a Deployment one after the other, as kubectl rollout restart does, and returns
// when that is done.
func (c *cluster) restart(deployment string) {
	c.t.Helper()
	pods := c.podsOf(deployment)
	patch := fmt.Sprintf(`{"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": %q}}}}}`, time.Now())
	_, err := c.AppsV1().Deployments(c.namespace).Patch(c.t.Context(), deployment,
		types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(c.t, err)
	c.waitForPods(noneOf(pods))
}

// noneOf is the condition that a pod is another one than each of those.
func noneOf(pods []corev1.Pod) func(corev1.Pod) error {
	return func(pod corev1.Pod) error {
		if slices.ContainsFunc(pods, func(old corev1.Pod) bool { return old.UID == pod.UID }) {
			return errors.New("is still there")
		}
		return nil
	}
}

// podsOf are the pods of an app, without those that are on their way out.
func (c *cluster) podsOf(app string) []corev1.Pod {
	c.t.Helper()
	pods, err := c.CoreV1().Pods(c.namespace).List(c.t.Context(),
		metav1.ListOptions{LabelSelector: "app=" + app})
	require.NoError(c.t, err)
	pods.Items = slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil })
	require.NotEmpty(c.t, pods.Items)
	return pods.Items
}

// waitUntilRolledOut waits for every pod to be of the StatefulSet's newest revision, and ready. Pulumi's
// Kubernetes plugin may report an update before that (fixed in 4.26).
func (c *cluster) waitUntilRolledOut(statefulSet string) {
	c.t.Helper()
	eventually(c.t, func() error {
		set, err := c.AppsV1().StatefulSets(c.namespace).Get(c.t.Context(), statefulSet, metav1.GetOptions{})
		if err != nil {
			return err
		}
		s := set.Status
		if s.ObservedGeneration < set.Generation || s.CurrentRevision != s.UpdateRevision ||
			s.ReadyReplicas != *set.Spec.Replicas {
			return fmt.Errorf("the StatefulSet has not rolled out: %+v", s)
		}
		return nil
	})
}

func (c *cluster) pod(name string) *corev1.Pod {
	c.t.Helper()
	pod, err := c.CoreV1().Pods(c.namespace).Get(c.t.Context(), name, metav1.GetOptions{})
	require.NoError(c.t, err)
	return pod
}

func (c *cluster) podIPs() []string {
	c.t.Helper()
	var ips []string
	for _, name := range redisPods {
		ips = append(ips, c.pod(name).Status.PodIP)
	}
	return ips
}

// deletePod returns when the pod is gone.
func (c *cluster) deletePod(name string) {
	c.t.Helper()
	uid := c.pod(name).UID
	require.NoError(c.t, c.CoreV1().Pods(c.namespace).Delete(c.t.Context(), name, metav1.DeleteOptions{}))
	eventually(c.t, func() error {
		pod, err := c.CoreV1().Pods(c.namespace).Get(c.t.Context(), name, metav1.GetOptions{})
		if err == nil && pod.UID == uid {
			return fmt.Errorf("pod %s is still there", name)
		}
		return nil
	})
}

// forceDelete does not wait for the pod's processes.
func (c *cluster) forceDelete(name string) {
	c.t.Helper()
	now := int64(0)
	require.NoError(c.t, c.CoreV1().Pods(c.namespace).Delete(c.t.Context(), name,
		metav1.DeleteOptions{GracePeriodSeconds: &now}))
}

// log is what a container has written.
func (c *cluster) log(pod, container string) string {
	c.t.Helper()
	log, err := c.CoreV1().Pods(c.namespace).GetLogs(pod,
		&corev1.PodLogOptions{Container: container}).DoRaw(c.t.Context())
	require.NoError(c.t, err)
	return string(log)
}

func (c *cluster) statefulSetUID(name string) types.UID {
	c.t.Helper()
	set, err := c.AppsV1().StatefulSets(c.namespace).Get(c.t.Context(), name, metav1.GetOptions{})
	require.NoError(c.t, err)
	return set.UID
}

// deleteStatefulSet returns when its pods are gone too.
func (c *cluster) deleteStatefulSet() {
	c.t.Helper()
	foreground := metav1.DeletePropagationForeground
	require.NoError(c.t, c.AppsV1().StatefulSets(c.namespace).Delete(c.t.Context(), statefulSet,
		metav1.DeleteOptions{PropagationPolicy: &foreground}))
	eventually(c.t, func() error {
		pods, err := c.CoreV1().Pods(c.namespace).List(c.t.Context(),
			metav1.ListOptions{LabelSelector: podSelector})
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("%d pods are still there", len(pods.Items))
		}
		return err
	})
}

func (c *cluster) podUIDs() []types.UID {
	c.t.Helper()
	var uids []types.UID
	for _, name := range redisPods {
		uids = append(uids, c.pod(name).UID)
	}
	return uids
}

// watchReady watches the pods. The function that it returns ends that, and tells the smallest number of pods
// that were ready at any time.
func (c *cluster) watchReady() (fewest func() int) {
	c.t.Helper()
	pods, err := c.CoreV1().Pods(c.namespace).List(c.t.Context(), metav1.ListOptions{LabelSelector: podSelector})
	require.NoError(c.t, err)
	ready := map[string]bool{}
	for _, pod := range pods.Items {
		ready[pod.Name] = isReady(&pod)
	}
	least := countTrue(ready)
	watcher, err := c.CoreV1().Pods(c.namespace).Watch(c.t.Context(),
		metav1.ListOptions{LabelSelector: podSelector, ResourceVersion: pods.ResourceVersion})
	require.NoError(c.t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for change := range watcher.ResultChan() {
			if pod, ok := change.Object.(*corev1.Pod); ok {
				ready[pod.Name] = change.Type != watch.Deleted && isReady(pod)
				least = min(least, countTrue(ready))
			}
		}
	}()
	return func() int {
		watcher.Stop()
		<-done
		return least
	}
}

func countTrue(all map[string]bool) (n int) {
	for _, is := range all {
		if is {
			n++
		}
	}
	return n
}

// claims are the UIDs of the claims by their names.
func (c *cluster) claims() map[string]types.UID {
	c.t.Helper()
	list, err := c.CoreV1().PersistentVolumeClaims(c.namespace).List(c.t.Context(), metav1.ListOptions{})
	require.NoError(c.t, err)
	claims := map[string]types.UID{}
	for _, claim := range list.Items {
		claims[claim.Name] = claim.UID
	}
	return claims
}

// fillerImages are the images that the pods run redisfiller from, each once.
func (c *cluster) fillerImages() []string {
	c.t.Helper()
	var images []string
	for _, name := range redisPods {
		for _, container := range c.pod(name).Spec.Containers {
			if container.Name == "redisfiller" {
				images = append(images, container.Image)
			}
		}
	}
	slices.Sort(images)
	return slices.Compact(images)
}

func isReady(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil &&
		slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
}

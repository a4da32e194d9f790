package kube

import (
	"errors"
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

const (
	// Lasting selects the stack's pods without Jobs.
	Lasting = "app,!batch.kubernetes.io/job-name"
	// Redis selects the pods of Redis.
	Redis = "app=redisapp"
)

// RedisPods are the names of the pods of Redis.
var RedisPods = []string{"redis-stset-0", "redis-stset-1"}

// Pod returns a pod by its name.
func (c *Cluster) Pod(name string) *corev1.Pod {
	pod, err := c.CoreV1().Pods(c.Namespace).Get(c.T.Context(), name, metav1.GetOptions{})
	require.NoError(c.T, err)
	return pod
}

// Pods returns the pods that a selector matches, oldest first, without pods that are being deleted.
func (c *Cluster) Pods(selector string) []corev1.Pod {
	pods, err := c.CoreV1().Pods(c.Namespace).List(c.T.Context(), metav1.ListOptions{LabelSelector: selector})
	require.NoError(c.T, err)
	slices.SortStableFunc(pods.Items, func(a, b corev1.Pod) int {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	})
	return slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil })
}

// Running returns the running pods of all namespaces without Jobs, which may end any time.
func (c *Cluster) Running() []corev1.Pod {
	return slices.DeleteFunc(c.In("").Pods("!batch.kubernetes.io/controller-uid"), func(pod corev1.Pod) bool {
		return pod.Status.Phase != corev1.PodRunning
	})
}

// IsOurs tells whether one of the pods is in a namespace of the stack.
func IsOurs(pods ...corev1.Pod) bool {
	return slices.ContainsFunc(pods, func(pod corev1.Pod) bool { return PodCount[pod.Namespace] > 0 })
}

// IsReady tells whether a pod is ready.
func IsReady(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil &&
		slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
}

// WaitUntilReady waits for all pods of the test's own namespaces.
func (c *Cluster) WaitUntilReady() {
	for _, namespace := range c.own {
		c.In(namespace).WaitForPods()
	}
}

// WaitForPods waits until all pods of the namespace are there and ready, and none of the old ones.
func (c *Cluster) WaitForPods(old ...corev1.Pod) {
	wait.Until(c.T, func() error {
		pods, err := c.CoreV1().Pods(c.Namespace).List(c.T.Context(), metav1.ListOptions{LabelSelector: Lasting})
		if err != nil {
			return err
		}
		for _, pod := range pods.Items {
			if slices.ContainsFunc(old, func(old corev1.Pod) bool { return old.UID == pod.UID }) {
				return fmt.Errorf("pod %s is still there", pod.Name)
			}
			if !IsReady(&pod) {
				return fmt.Errorf("pod %s is not ready: %v", pod.Name, pod.Status.Conditions)
			}
		}
		if len(pods.Items) != PodCount[c.Namespace]+c.Standbys[c.Namespace] {
			return fmt.Errorf("%s has %d pods", c.Namespace, len(pods.Items))
		}
		return nil
	})
}

// DeleteAllPods deletes all pods of the namespace together, and returns when each is replaced by a ready one.
func (c *Cluster) DeleteAllPods() {
	old := c.Pods(Lasting)
	c.Kubectl("delete", "pods", "--selector", Lasting)
	c.WaitForPods(old...)
}

// Restart replaces the pods of a Deployment one after the other.
func (c *Cluster) Restart(deployment string) {
	old := c.Pods("app=" + deployment)
	c.Kubectl("rollout", "restart", "deployment", deployment)
	c.WaitForPods(old...)
}

// WaitUntilRolledOut waits for every pod of a workload, such as deployment/todo-backend, to be of its newest
// revision. Pulumi's Kubernetes plugin may report an update before that: of StatefulSets until 4.26, and of
// Deployments when the API server's list is older than the update.
func (c *Cluster) WaitUntilRolledOut(workload string) {
	c.Kubectl("rollout", "status", workload, "--timeout", wait.Patience.String())
}

// WaitUntilReplaced waits for a Deployment's rollout, and then for the end of its old pods: an ingress
// controller may send them requests in the seconds after the rollout.
func (c *Cluster) WaitUntilReplaced(deployment string) {
	c.WaitUntilRolledOut(deployment)
	c.WaitForPods()
}

// DeletePod returns when the pod is gone.
func (c *Cluster) DeletePod(name string) { c.Kubectl("delete", "pod", name) }

// ForceDelete does not wait for the pod's processes. The pod's StatefulSet may have deleted it before.
func (c *Cluster) ForceDelete(name string) {
	c.Kubectl("delete", "pod", name, "--force", "--wait=false", "--ignore-not-found")
}

// Log is what a container has written.
func (c *Cluster) Log(pod, container string) string {
	return c.Kubectl("logs", pod, "--container", container)
}

// WatchReady watches pods. The function that it returns stops that, and tells the smallest number of pods
// that were ready at any time.
func (c *Cluster) WatchReady(selector string) (fewest func() int) {
	pods, err := c.CoreV1().Pods(c.Namespace).List(c.T.Context(), metav1.ListOptions{LabelSelector: selector})
	require.NoError(c.T, err)
	ready := map[string]bool{}
	note := func(pod *corev1.Pod, is bool) int {
		if delete(ready, pod.Name); is {
			ready[pod.Name] = true
		}
		return len(ready)
	}
	for _, pod := range pods.Items {
		note(&pod, IsReady(&pod))
	}
	least := len(ready)
	watcher, err := c.CoreV1().Pods(c.Namespace).Watch(c.T.Context(),
		metav1.ListOptions{LabelSelector: selector, ResourceVersion: pods.ResourceVersion})
	require.NoError(c.T, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for change := range watcher.ResultChan() {
			if pod, ok := change.Object.(*corev1.Pod); ok {
				least = min(least, note(pod, change.Type != watch.Deleted && IsReady(pod)))
			}
		}
	}()
	return func() int {
		watcher.Stop()
		<-done
		return least
	}
}

// Claim is a claim with the volume that it is bound to.
type Claim struct{ UID, Volume, Class, Size string }

// Claims returns the stack's claims by namespace and name, without the scratch volumes of backups.
func (c *Cluster) Claims() map[string]Claim {
	all := map[string]Claim{}
	for namespace := range PodCount {
		claims, err := c.CoreV1().PersistentVolumeClaims(namespace).List(c.T.Context(), metav1.ListOptions{})
		require.NoError(c.T, err)
		for _, claim := range claims.Items {
			if len(claim.OwnerReferences) == 0 {
				all[namespace+"/"+claim.Name] = Claim{string(claim.UID), claim.Spec.VolumeName,
					*claim.Spec.StorageClassName, claim.Status.Capacity.Storage().String()}
			}
		}
	}
	return all
}

// Visit runs a pod of one container until it ends, and returns what it wrote and its exit status.
func (c *Cluster) Visit(pod *corev1.Pod) (output string, status int) {
	pod, err := c.CoreV1().Pods(c.Namespace).Create(c.T.Context(), pod, metav1.CreateOptions{})
	require.NoError(c.T, err)
	defer c.Kubectl("delete", "pod", pod.Name, "--wait=false")
	wait.Until(c.T, func() error {
		for _, container := range c.Pod(pod.Name).Status.ContainerStatuses {
			if end := container.State.Terminated; end != nil {
				status = int(end.ExitCode)
				return nil
			}
		}
		return errors.New("pod " + pod.Name + " has not ended")
	})
	return c.Log(pod.Name, pod.Spec.Containers[0].Name), status
}

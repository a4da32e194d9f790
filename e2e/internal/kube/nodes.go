package kube

import (
	"errors"
	"fmt"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// Hostname is the label of nodes with their names.
const Hostname = "kubernetes.io/hostname"

// IsNodeReady tells whether Kubernetes takes a node to be alive.
func (c *Cluster) IsNodeReady(name string) bool {
	node, err := c.CoreV1().Nodes().Get(c.T.Context(), name, metav1.GetOptions{})
	require.NoError(c.T, err)
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// WaitForNode waits until Kubernetes takes a node to be alive, or not.
func (c *Cluster) WaitForNode(name string, ready bool) {
	wait.Until(c.T, func() error {
		if c.IsNodeReady(name) != ready {
			return fmt.Errorf("node %s: ready is %t", name, !ready)
		}
		return nil
	})
}

// Spread returns how many nodes run pods that a selector matches.
func (c *Cluster) Spread(selector string) int {
	nodes := map[string]bool{}
	for _, pod := range c.Pods(selector) {
		nodes[pod.Spec.NodeName] = true
	}
	return len(nodes)
}

// OnNode returns the pods of all namespaces that run on a node.
func (c *Cluster) OnNode(name string) []corev1.Pod {
	pods, err := c.CoreV1().Pods("").List(c.T.Context(), metav1.ListOptions{
		FieldSelector: "spec.nodeName=" + name + ",status.phase=Running"})
	require.NoError(c.T, err)
	return pods.Items
}

// BringTo lets a node run one of the pods of a Deployment, if none runs there.
func (c *Cluster) BringTo(node, deployment string) {
	pods := c.Pods("app=" + deployment)
	for _, pod := range pods {
		if pod.Spec.NodeName == node {
			return
		}
	}
	others := Hostname + "!=" + node
	c.Kubectl("cordon", "--selector", others)
	c.DeletePod(pods[0].Name)
	c.WaitUntilRolledOut("deployment/" + deployment)
	c.Kubectl("uncordon", "--selector", others)
}

// WaitForPodsElsewhere waits until all pods of a Deployment are ready, none of them on the node.
func (c *Cluster) WaitForPodsElsewhere(node, deployment string, count int) {
	wait.Until(c.T, func() error {
		elsewhere := 0
		for _, pod := range c.Pods("app=" + deployment) {
			if pod.Spec.NodeName != node && IsReady(&pod) {
				elsewhere++
			}
		}
		if elsewhere < count {
			return errors.New("pods of " + deployment + " are still missing elsewhere")
		}
		return nil
	})
}

// From reaches Services from a pod on the node, with a label that lets it.
func (c *Cluster) From(node, label string) *Cluster {
	from := *c
	from.Way = c.Network(c.StartOn(node, label))
	return &from
}

// StartOn starts a pod on a node, which sleeps until the test ends. It does not count as one that lasts.
func (c *Cluster) StartOn(node string, labels ...string) *corev1.Pod {
	pod := Visitor(map[string]string{"batch.kubernetes.io/job-name": "e2e"}, "exec sleep 1800")
	for _, label := range labels {
		pod.Labels[label] = "true"
	}
	pod.Spec.NodeSelector = map[string]string{Hostname: node}
	pod, err := c.CoreV1().Pods(c.Namespace).Create(c.T.Context(), pod, metav1.CreateOptions{})
	require.NoError(c.T, err)
	c.T.Cleanup(func() { c.ForceDelete(pod.Name) }) // a node with a pod of nobody's can't be drained
	wait.Until(c.T, func() error {
		if pod = c.Pod(pod.Name); !IsReady(pod) {
			return fmt.Errorf("pod %s is not ready: %v", pod.Name, pod.Status)
		}
		return nil
	})
	return pod
}

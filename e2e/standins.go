package e2e

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/internal/connections"
)

// standIns are pods for everybody in the tables of whom no pod runs, such as Jobs and clients, without labels
// in each of the stack's namespaces, and in a namespace of nobody, there also with all labels that open
// something elsewhere. They go with the test.
func (c *cluster) standIns(tables map[string][]connections.Connection) {
	c.t.Helper()
	played := c.running()
	stranger := map[string]string{}
	wanted := []connections.Peer{{Namespace: metav1.NamespaceDefault},
		{Namespace: metav1.NamespaceDefault, Labels: stranger}}
	for namespace := range podCount {
		wanted = append(wanted, connections.Peer{Namespace: namespace})
	}
	for _, table := range tables {
		for _, connection := range table {
			from := connection.From
			isPlayed := func(pod corev1.Pod) bool { return from.HasPod(pod.Namespace, pod.Labels) }
			if podCount[from.Namespace] == 0 || len(from.Labels) == 0 {
				continue
			}
			maps.Copy(stranger, from.Labels)
			if slices.ContainsFunc(played, isPlayed) {
				continue
			}
			wanted = append(wanted, from)
			played = append(played, corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: from.Namespace,
				Labels: from.Labels}})
		}
	}
	var starts errgroup.Group
	for _, peer := range wanted {
		starts.Go(func() error { return c.startStandIn(peer.Namespace, peer.Labels) })
	}
	require.NoError(c.t, starts.Wait())
}

func (c *cluster) startStandIn(namespace string, labels map[string]string) error {
	all := map[string]string{"batch.kubernetes.io/job-name": "e2e"} // it is none of the lasting pods
	maps.Copy(all, labels)
	pods := c.CoreV1().Pods(namespace)
	pod, err := pods.Create(c.t.Context(), visitor(all, "exec sleep 600"), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	c.t.Cleanup(func() {
		now := int64(0)
		_ = pods.Delete(context.Background(), pod.Name,
			metav1.DeleteOptions{GracePeriodSeconds: &now}) // it ends by itself
	})
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(poll) {
		if now, err := pods.Get(c.t.Context(), pod.Name, metav1.GetOptions{}); err == nil && isReady(now) {
			return nil
		}
	}
	return errors.New("no stand-in started in " + namespace)
}

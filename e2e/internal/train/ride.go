// Package train follows the little trains of Redis by the logs of redisfiller.
package train

import (
	"bufio"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// steps in two seconds show that a train keeps moving.
const steps = 10

// Ride follows the trains of all Redis pods, whatever happens to the pods.
type Ride struct {
	t *testing.T

	mu    sync.Mutex
	walks map[string][]event
}

// Board returns when every train has been seen.
func Board(c *kube.Cluster) *Ride {
	r := &Ride{t: c.T, walks: map[string][]event{}}
	ctx, stop := context.WithCancel(c.T.Context())
	var followers sync.WaitGroup
	for _, pod := range kube.RedisPods {
		followers.Go(func() { r.follow(ctx, c, pod) })
	}
	c.T.Cleanup(func() {
		stop()
		followers.Wait()
	})
	r.WaitUntilGoingOn()
	return r
}

// WaitUntilGoingOn waits until every train has taken some steps from now on, and checks everything that it
// did since it was boarded.
func (r *Ride) WaitUntilGoingOn() {
	since := time.Now()
	for _, pod := range kube.RedisPods {
		wait.Until(r.t, func() error {
			seen := 0
			for _, e := range r.walk(pod) {
				if e.train && e.time.After(since) {
					seen++
				}
			}
			if seen < steps {
				return fmt.Errorf("the train of %s took %d steps since %s", pod, seen, since)
			}
			return nil
		})
		require.NoError(r.t, checkWalk(r.walk(pod)), "the train of %s", pod)
	}
}

// follow records the log of a pod's redisfiller, and of its successors, until ctx ends.
func (r *Ride) follow(ctx context.Context, c *kube.Cluster, pod string) {
	last := time.Now()
	for ; ctx.Err() == nil; time.Sleep(wait.Poll) {
		stream, err := c.CoreV1().Pods(c.Namespace).GetLogs(pod, &corev1.PodLogOptions{
			Container: "redisfiller", Follow: true, SinceTime: &metav1.Time{Time: last},
		}).Stream(ctx)
		if err != nil {
			continue // there is no such container at the moment
		}
		seen := last // the API takes whole seconds only
		for lines := bufio.NewScanner(stream); lines.Scan(); {
			e, err := parseEvent(lines.Text())
			if err == nil && e.time.After(seen) {
				r.record(pod, e)
				last = e.time
			}
		}
		stream.Close()
	}
}

func (r *Ride) record(pod string, e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.walks[pod] = append(r.walks[pod], e)
}

func (r *Ride) walk(pod string) []event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.walks[pod][:len(r.walks[pod]):len(r.walks[pod])]
}

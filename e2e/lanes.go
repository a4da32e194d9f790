// Package e2e looks at the running stack from outside: its tests use a lab as a person would, with make,
// pulumi and a Kubernetes client, and stop, delete and kill what is in it.
package e2e

import (
	"sync"
	"testing"
	"time"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/page"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
)

const (
	exercises = kube.Exercises
	project   = kube.Project
	// miniflux is the namespace of examples/own-app.
	miniflux = "miniflux"
	// three is a lab of three nodes.
	three = "three"
)

// connect returns the namespace exercises, for a test that has the whole lab to itself.
func connect(t *testing.T) *kube.Cluster {
	t.Cleanup(func() {
		if t.Failed() {
			leaveSettings() // whatever it has left is not the next test's fault
		}
	})
	c := kube.Connect(t, exercises, project, kube.Storage)
	c.WaitUntilReady()
	return c
}

// newCluster connects to a stack as make up leaves it.
func newCluster(t *testing.T) *kube.Cluster {
	settle(t)
	return connect(t)
}

// lanes run side by side, after the tests that have the lab to themselves. The tests of a lane run one after
// the other, and disturb no other lane.
var lanes = map[string]*sync.Mutex{exercises: {}, project: {}, miniflux: {}, three: {}}

// inLane returns when the earlier tests of the lane have ended.
func inLane(t *testing.T, lane string) {
	t.Parallel()
	lanes[lane].Lock()
	began := time.Now()
	t.Cleanup(func() {
		t.Logf("ran for %s", time.Since(began).Round(100*time.Millisecond)) // before, it waited
		lanes[lane].Unlock()
	})
	settle(t)
}

// newLane returns the namespace of a lane when the earlier tests there have ended.
func newLane(t *testing.T, namespace string) *kube.Cluster {
	inLane(t, namespace)
	c := kube.Connect(t, namespace).In(namespace)
	c.WaitUntilReady()
	return c
}

// openPage shows a page without todos, in the lane of the todos.
func openPage(t *testing.T) *page.Page {
	inLane(t, project)
	return page.Show(t)
}

// unsettled says that the stack may have other settings than its own.
var unsettled struct {
	sync.Mutex
	is bool
}

// leaveSettings leaves it to the next settle to bring the stack up with its own settings again.
func leaveSettings() {
	unsettled.Lock()
	defer unsettled.Unlock()
	unsettled.is = true
}

// settle brings the stack up with its own settings, unless it has them.
func settle(t *testing.T) {
	unsettled.Lock()
	defer unsettled.Unlock()
	if unsettled.is {
		pulumi.MakeUp(t)
		unsettled.is = false
	}
}

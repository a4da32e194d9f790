package e2e

import (
	"sync"
	"testing"
	"time"
)

// newCluster is the namespace exercises of a stack as make up leaves it, for a test that has all of the lab
// for itself.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	settle(t)
	c := connect(t)
	c.waitUntilReady()
	return c
}

// lanes run beside one another, after the tests that have all of the lab for themselves. The tests of a lane
// run one after the other, and disturb no other lane.
var lanes = map[string]*sync.Mutex{exercises: {}, project: {}}

// inLane returns when the tests before this one in its lane have ended.
func inLane(t *testing.T, lane string) {
	t.Helper()
	t.Parallel()
	lanes[lane].Lock()
	began := time.Now()
	t.Cleanup(func() {
		t.Logf("ran for %s", time.Since(began).Round(100*time.Millisecond)) // the rest of its time it waited
		lanes[lane].Unlock()
	})
	settle(t)
}

// newLane is a namespace for a test that disturbs no other one.
func newLane(t *testing.T, namespace string) *cluster {
	t.Helper()
	inLane(t, namespace)
	c := connect(t).in(namespace)
	c.own = []string{namespace}
	c.waitUntilReady()
	return c
}

// unsettled says that a test has left the stack with settings of its own.
var unsettled struct {
	sync.Mutex
	is bool
}

// leaveSettings leaves it to the next test that minds to bring up the stack with its own settings again.
func leaveSettings(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		unsettled.Lock()
		defer unsettled.Unlock()
		unsettled.is = true
	})
}

// settle brings up the stack with its own settings, unless it has them.
func settle(t *testing.T) {
	t.Helper()
	unsettled.Lock()
	defer unsettled.Unlock()
	if unsettled.is {
		makeUp(t)
		unsettled.is = false
	}
}

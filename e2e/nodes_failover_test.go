package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// underLoad loses something while clients ping and add todos. When all is there again, nothing that was
// acknowledged is lost or doubled.
func (m manyNodes) underLoad(lose func(*traffic.Pings)) {
	pings := traffic.StartPings(m.From(nodes[0], "pingpong-client"))
	todos := traffic.AddTodos(m.In(project).From(nodes[0], "todo-client"))
	longest := watchGaps(pings.Acknowledged)
	lose(pings)
	pings.WaitUntilGoingOn()
	todos.WaitUntilGoingOn()
	m.Cluster.T.Logf("at most %s without a ping", longest())
	m.WaitUntilReady()
	for _, namespace := range []string{exercises, project} {
		waitUntilHealthy(m.In(namespace))
	}
	pings.End()
	todos.End()
}

// losses are the ways in which servers and nodes are taken away.
var losses = append([]loss{
	{"a node is stopped hard", testANodeIsStoppedHard},
	{"a node is drained", testANodeIsDrained},
	{"two of three servers are away", testTwoServersAreAway},
	{"the API is away", testTheAPIIsAway},
	{"what archives is killed, and then the primary's pod", testTheArchiverIsKilled},
}, failoversUnderLoad()...)

type loss struct {
	name string
	test func(*testing.T, manyNodes)
}

func failoversUnderLoad() (all []loss) {
	for _, way := range failovers {
		all = append(all, loss{way.name, func(_ *testing.T, m manyNodes) {
			m.underLoad(func(*traffic.Pings) { way.lose(m.Cluster) })
		}})
	}
	return all
}

// testTwoServersAreAway takes both standbys away. A commit waits for one of them, so none is acknowledged.
func testTwoServersAreAway(t *testing.T, m manyNodes) {
	m.underLoad(func(pings *traffic.Pings) {
		for _, standby := range standbys(m.Cluster) {
			m.Kubectl("cordon", standby.Spec.NodeName) // only the node of its volume can run it
			t.Cleanup(func() { m.Kubectl("uncordon", standby.Spec.NodeName) })
			m.ForceDelete(standby.Name)
		}
		pings.WaitUntilStopped()
		m.Kubectl("uncordon", "--selector", kube.Hostname)
	})
}

// testTheAPIIsAway freezes the control plane for a minute, longer than anything in the cluster waits for it.
func testTheAPIIsAway(t *testing.T, m manyNodes) {
	m.underLoad(func(pings *traffic.Pings) {
		thaw := freezeServer(t)
		wait.Until(t, func() error { // on a busy machine the signal takes a moment
			if m.Command("get", "nodes", "--request-timeout", "2s").Run() == nil {
				return errors.New("the API still answers")
			}
			return nil
		})
		for began := time.Now(); time.Since(began) < time.Minute; {
			pings.WaitUntilGoingOn()
		}
		thaw()
	})
}

// testTheArchiverIsKilled takes the plugin away, without which the operator does nothing.
func testTheArchiverIsKilled(_ *testing.T, m manyNodes) {
	m.underLoad(func(*traffic.Pings) { killPrimary(m.Cluster, m.In(operators).Pods("app=barman-cloud")...) })
}

// freezeServer stops k3s on the server, and leaves the pods there alone. The function that it returns lets it
// go on, as the end of the test does.
func freezeServer(t *testing.T) (thaw func()) {
	first := lab.Daemons(three, nodes[0])
	require.Len(t, first, 1)
	server := proc.Find(func(dir string) bool {
		fields := proc.Stat(dir)
		return len(fields) > 1 && fields[1] == strconv.Itoa(first[0]) && proc.Name(dir) == "k3s"
	})
	require.Len(t, server, 1)
	thaw = func() { require.NoError(t, syscall.Kill(server[0], syscall.SIGCONT)) }
	t.Cleanup(thaw)
	require.NoError(t, syscall.Kill(server[0], syscall.SIGSTOP))
	return thaw
}

// agentOfPrimary returns the number of a node with a primary, and without the control plane. For that,
// another server may have to become the primary.
func (m manyNodes) agentOfPrimary() int {
	old := primary(m.Cluster)
	if number := slices.Index(nodes, old.Spec.NodeName); number > 0 {
		return number
	}
	standby := standbys(m.Cluster)[0]
	promote(m.Cluster, standby)
	waitForAnother(m.Cluster, old)
	waitUntilHealthy(m.Cluster)
	number := slices.Index(nodes, standby.Spec.NodeName)
	assert.Positive(m.Cluster.T, number, "the servers are on nodes of their own")
	return number
}

func testANodeIsStoppedHard(t *testing.T, m manyNodes) {
	number := m.agentOfPrimary()
	node := nodes[number]
	m.BringTo(node, "pingpong")
	m.underLoad(func(pings *traffic.Pings) {
		old := primary(m.Cluster)
		m.Make("lab-node-stop", fmt.Sprintf("NODE=%d", number))
		m.WaitForNode(node, false)
		waitForAnother(m.Cluster, old)
		pings.WaitUntilGoingOn()
		m.WaitForPodsElsewhere(node, "pingpong", 2)
		assert.Contains(t, m.status(),
			fmt.Sprintf("node %s does not run: make lab-node-start LAB=three NODE=%d starts it\n", node, number))
		m.Make("lab-node-start", fmt.Sprintf("NODE=%d", number))
	})
	status := m.status()
	for _, node := range nodes {
		assert.Contains(t, status, "\nnode "+node+"  ready, ")
	}
}

// status is what make status says, whether all is well or not.
func (m manyNodes) status() string {
	said, _ := lab.Make(m.Dir, "status", three).CombinedOutput()
	return string(said)
}

// testANodeIsDrained drains the node of a primary.
func testANodeIsDrained(t *testing.T, m manyNodes) {
	node := nodes[m.agentOfPrimary()]
	m.underLoad(func(pings *traffic.Pings) {
		m.drain(node)
		pings.WaitUntilGoingOn()
		m.Kubectl("uncordon", node)
	})
}

// drain takes a node out of use.
func (m manyNodes) drain(node string) {
	m.Kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data",
		"--timeout", wait.Patience.String())
	for _, pod := range m.OnNode(node) {
		assert.False(m.Cluster.T, kube.IsOurs(pod), pod.Name)
	}
}

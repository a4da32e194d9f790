package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/home"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/network"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
	"github.com/stateful-k3s/stateful-k3s/internal/connections"
)

// manyNodes is the lab of three nodes with a stack of its own.
type manyNodes struct {
	home.Home
	*kube.Cluster
}

func (m manyNodes) in(t *testing.T) manyNodes {
	m.Home.T, m.Cluster = t, m.For(t)
	return m
}

// nodes are the nodes' names, the server first.
var nodes = []string{three + "-0", three + "-1", three + "-2"}

// TestSeveralNodes makes a lab of two nodes, adds a third, and takes one away in each way that there is. Its
// parts run one after the other, and each leaves all nodes running.
func TestSeveralNodes(t *testing.T) {
	inLane(t, three)
	m := manyNodes{Home: home.Home{T: t, Dir: lab.Checkout, Lab: three}}
	settings := filepath.Join(lab.Checkout, "Pulumi."+three+".yaml")
	forget := func() {
		m.Make("lab-delete")
		_ = os.Remove(settings) // it is not there if make up has failed early
	}
	if _, err := os.Stat(filepath.Join(lab.Root, three)); err == nil {
		forget() // a test that was killed has left it
	}
	t.Cleanup(forget)
	m.Make("lab-up", "NODES=2")
	first := lab.Daemons(three)
	m.Make("up", "NODES=3")
	assert.Subset(t, lab.Daemons(three), first, "a new node disturbs no other")
	refusal, err := lab.Make(m.Dir, "lab-up", three, "NODES=1").CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(refusal), "the lab three has 3 nodes already, and none is removed")

	m.Cluster = m.Home.Cluster()
	m.WaitUntilReady()
	t.Run("pods are spread", func(t *testing.T) { testPodsAreSpread(t, m.in(t)) })
	t.Run("all pairs of nodes", func(t *testing.T) { testAllPairsOfNodes(t, m.in(t)) })
	t.Run("policies across nodes", func(t *testing.T) { testPoliciesAcrossNodes(t, m.in(t)) })
	t.Run("a node is stopped hard", func(t *testing.T) { testANodeIsStoppedHard(t, m.in(t)) })
	t.Run("a node is drained", func(t *testing.T) { testANodeIsDrained(t, m.in(t)) })
}

func testPodsAreSpread(t *testing.T, m manyNodes) {
	for _, node := range nodes {
		assert.NotEmpty(t, m.OnNode(node), node)
	}
	for namespace, selectors := range map[string][]string{
		exercises: {"app=pingpong", kube.Redis}, project: {"app=todo-backend", "app=todo-frontend"},
		"kube-system": {"k8s-app=kube-dns"},
	} {
		for _, selector := range selectors {
			assert.Equal(t, 2, m.In(namespace).Spread(selector), selector)
		}
	}
}

// testAllPairsOfNodes connects a pod on each node to one on each, which sees the other's own address. A
// Service and the name server answer pods of each node.
func testAllPairsOfNodes(t *testing.T, m manyNodes) {
	var pods []*corev1.Pod
	for _, node := range nodes {
		pods = append(pods, m.In("default").StartOn(node))
	}
	for _, to := range pods {
		server := network.TellAddresses(t, m.Network(to), net.JoinHostPort(to.Status.PodIP, "0"))
		for _, from := range pods {
			seen, err := network.Ask(t.Context(), m.Network(from), server)
			pair := from.Spec.NodeName + " to " + to.Spec.NodeName
			require.NoError(t, err, pair)
			assert.Equal(t, from.Status.PodIP, seen, pair)
		}
	}
	for _, target := range network.TargetsInCluster(m.Cluster, nil) {
		if target.Name != "service kubernetes" && target.Name != "service kube-dns" {
			continue
		}
		for _, from := range pods {
			assert.NoError(t, target.Dial(t.Context(), network.Origin{Network: m.Network(from)}), "%s from %s",
				target.Name, from.Spec.NodeName)
		}
	}
}

// testPoliciesAcrossNodes tries all connections between pods, and of a stranger on each node.
func testPoliciesAcrossNodes(t *testing.T, m manyNodes) {
	document, err := os.ReadFile(filepath.Join(lab.Checkout, "docs/connections.md"))
	require.NoError(t, err)
	tables, err := connections.Parse(string(document))
	require.NoError(t, err)
	pods := m.Running()
	for _, node := range nodes {
		pods = append(pods, *m.In(exercises).StartOn(node))
	}
	var origins []network.Origin
	for _, pod := range pods {
		origins = append(origins, network.Origin{Name: pod.Namespace + "/" + pod.Name,
			Network: m.Network(&pod), Pod: &pod})
	}
	pairs, _ := guardedPairs(origins, network.TargetsInCluster(m.Cluster, pods), tables["By default"])
	require.NoError(t, network.Try(t.Context(), pairs))
	refused := map[string]bool{} // by nodes
	for _, p := range pairs {
		assert.Equal(t, p.Wanted, p.Err == nil, "%s: %v", p, p.Err)
		if len(p.To.Pods) == 1 && !p.Wanted {
			refused[p.From.Pod.Spec.NodeName+" to "+p.To.Pods[0].Spec.NodeName] = true
		}
	}
	assert.Len(t, refused, len(nodes)*len(nodes), "a refusal for each pair of nodes")
	t.Logf("%d pairs of %d origins", len(pairs), len(origins))
}

// agentWithout returns the number of a node that runs neither the control plane nor the database of the
// namespace.
func (m manyNodes) agentWithout(namespace string) int {
	database := m.In(namespace).Pod(postgres.Pod).Spec.NodeName
	for number := 1; number < len(nodes); number++ {
		if nodes[number] != database {
			return number
		}
	}
	panic("a database runs on one node")
}

func testANodeIsStoppedHard(t *testing.T, m manyNodes) {
	number := m.agentWithout(exercises)
	node := nodes[number]
	m.BringTo(node, "pingpong")
	pings := traffic.StartPings(m.From(nodes[0], "pingpong-client"))
	m.Make("lab-node-stop", fmt.Sprintf("NODE=%d", number))
	m.WaitForNode(node, false)
	pings.WaitUntilGoingOn()
	m.WaitForPodsElsewhere(node, "pingpong", 2)
	assert.Contains(t, m.status(),
		fmt.Sprintf("node %s does not run: make lab-node-start LAB=three NODE=%d starts it\n", node, number))

	m.Make("lab-node-start", fmt.Sprintf("NODE=%d", number))
	m.WaitUntilReady()
	pings.WaitUntilGoingOn()
	pings.End()
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

// testANodeIsDrained drains the node of a database, whose pod has to wait for its node.
func testANodeIsDrained(t *testing.T, m manyNodes) {
	node := m.Pod(postgres.Pod).Spec.NodeName
	client := m.From(nodes[m.agentWithout(exercises)], "pingpong-client")
	before := traffic.Pingpong(client).Pings()
	m.Kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data",
		"--timeout", wait.Patience.String())
	for _, pod := range m.OnNode(node) {
		assert.False(t, kube.IsOurs(pod), pod.Name)
	}
	m.Kubectl("uncordon", node)
	m.WaitUntilReady()
	assert.Equal(t, before, traffic.Pingpong(client).Pings())
}

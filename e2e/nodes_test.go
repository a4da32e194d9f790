package e2e

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/home"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/network"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/rounds"
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

// documentedAPI is the address of the cluster's API in docs/connections.md.
var documentedAPI = netip.MustParseAddr("10.231.1.3")

// nodes are the nodes' names, the server first.
var nodes = []string{three + "-0", three + "-1", three + "-2"}

// TestSeveralNodes makes a lab of two nodes, adds a third, and deploys the settings in Pulumi.prod.yaml. It
// takes nodes and servers away, in LOSSES of the ways that there are, restores the databases, and then makes
// the first CHANGES of the settings. Its parts run one after the other, and each leaves all nodes and servers
// running.
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
	production, err := os.ReadFile(filepath.Join(lab.Checkout, "Pulumi.prod.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(settings, production, 0o644))
	m.Make("lab-up", "NODES=2")
	first := lab.Daemons(three)
	m.Make("up", "NODES=3")
	assert.Subset(t, lab.Daemons(three), first, "a new node disturbs no other")
	refusal, err := lab.Make(m.Dir, "lab-up", three, "NODES=1").CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(refusal), "the lab three has 3 nodes already, and none is removed")

	m.Cluster = m.Home.Cluster()
	m.Standbys[exercises], m.Standbys[project] = 2, 2
	m.WaitUntilReady()
	t.Run("pods are spread", func(t *testing.T) { testPodsAreSpread(t, m.in(t)) })
	t.Run("metrics of rules exist", func(t *testing.T) {
		cloudNativePGHasMetrics(m.in(t).Cluster)
		cloudNativePGHasMetrics(m.in(t).In(project))
	})
	t.Run("all pairs of nodes", func(t *testing.T) { testAllPairsOfNodes(t, m.in(t)) })
	t.Run("policies across nodes", func(t *testing.T) { testPoliciesAcrossNodes(t, m.in(t)) })
	for i := range int(rounds.Number(t, "LOSSES", 6)) {
		loss := losses[i%len(losses)]
		t.Run(loss.name, func(t *testing.T) { loss.test(t, m.in(t)) })
	}
	t.Run("a time comes back", func(t *testing.T) { testATimeComesBack(t, m.in(t)) })
	for _, change := range changes[:rounds.Number(t, "CHANGES", 0)] {
		t.Run(change.name, func(t *testing.T) { change.test(t, m.in(t)) })
	}
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
	for _, namespace := range []string{exercises, project} {
		assert.Equal(t, 3, m.In(namespace).Spread(servers), namespace)
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
	table := slices.Concat(tables["By default"], m.atTheAPI(tables["With `engine` `cloudnative-pg`"]))
	pairs, _ := guardedPairs(origins, network.TargetsInCluster(m.Cluster, pods), table)
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

// atTheAPI replaces the address of the cluster's API in a table by the one of its Service, as pods do.
func (m manyNodes) atTheAPI(table []connections.Connection) []connections.Connection {
	api := netip.MustParseAddr(m.In("default").Field("service", "kubernetes", "{.spec.clusterIP}"))
	for i := range table {
		if table[i].To.HasAddress(documentedAPI) {
			table[i].To.Networks = []connections.Network{{CIDR: netip.PrefixFrom(api, api.BitLen())}}
		}
	}
	return table
}

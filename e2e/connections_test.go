package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/network"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/internal/connections"
	"github.com/stateful-k3s/stateful-k3s/internal/nsenter"
)

// TestOnlyDocumentedConnectionsWork tries all: from every pod, stranger and another machine, to every port
// that anything listens on.
func TestOnlyDocumentedConnectionsWork(t *testing.T) {
	c := newCluster(t)
	document, err := os.ReadFile(filepath.Join(lab.Checkout, "docs/connections.md"))
	require.NoError(t, err)
	tables, err := connections.Parse(string(document))
	require.NoError(t, err)
	network.PlugOutsiderIn(t)
	network.StartStandIns(c, tables)
	pods := c.Running()
	origins, targets := network.Origins(c, pods), network.Targets(c, pods)

	pairs, documented := guardedPairs(origins, targets, tables["By default"])
	require.NotEmpty(t, documented)
	for i, connection := range tables["By default"] {
		assert.True(t, documented[i], "nothing tried %s -> %s", connection.From, connection.To)
	}
	control := controlPairs(origins, targets)
	require.NoError(t, network.Try(t.Context(), control))
	for _, p := range control {
		assert.NoError(t, p.Err, "%s: else a refusal shows nothing", p)
	}

	require.NoError(t, network.Try(t.Context(), pairs))
	allowed, refused := 0, 0
	for _, p := range pairs {
		switch {
		case p.Wanted && p.Err != nil:
			refused++
			t.Errorf("wrongly refused: %s: %v", p, p.Err)
		case !p.Wanted && p.Err == nil:
			allowed++
			t.Errorf("wrongly allowed: %s", p)
		}
	}
	t.Logf("%d pairs of %d origins and %d targets: %d wrongly allowed, %d wrongly refused", len(pairs),
		len(origins), len(targets), allowed, refused)
}

// guardedPairs returns the connections that policies are about, wanted if the table has them, and for each
// connection of the table whether it is among them.
func guardedPairs(origins []network.Origin, targets []network.Target, table []connections.Connection) (
	pairs []network.Pair, documented []bool) {
	documented = make([]bool, len(table))
	for _, to := range targets {
		for _, from := range origins {
			if !to.IsGuarded(from) {
				continue
			}
			p := network.Pair{From: from, To: to}
			for i, connection := range table {
				if to.IsIn(connection, from) {
					p.Wanted, documented[i] = true, true
				}
			}
			pairs = append(pairs, p)
		}
	}
	return pairs, documented
}

// controlPairs returns connections that no policy guards: they show that targets answer and origins get out.
func controlPairs(origins []network.Origin, targets []network.Target) (pairs []network.Pair) {
	node := network.Origin{Name: "the node", Network: lab.NodeNetwork()}
	for _, to := range targets {
		pairs = append(pairs, network.Pair{From: node, To: to, Wanted: true})
		for _, from := range origins {
			if !from.IsOurs() && to.Name == "service kubernetes" {
				pairs = append(pairs, network.Pair{From: from, To: to, Wanted: true})
			}
		}
	}
	return pairs
}

// hear is a command that prints what a server says, or that there is no answer. Policies reach a new pod a
// moment after its start.
const hear = `hear() {
	for try in $(seq $2); do timeout 3 bash -c "cat </dev/tcp/$1" 2>/dev/null && return; sleep 1; done
	echo nobody at ${1%/*}
}
`

func devTCP(address string) string { return strings.ReplaceAll(address, ":", "/") }

func TestPodsReachOtherMachinesByAddressAndName(t *testing.T) {
	c := newCluster(t)
	network.ConnectOutsider(t)
	network.NameOutsider(t)
	server := network.Greet(t, network.OutsiderNetwork, network.OutsiderAddress+":0", "hello from outside\n")
	labels := letOut(c)
	output, status := c.Visit(kube.Visitor(labels, hear+"hear "+devTCP(server)+" 30; hear "+
		devTCP(strings.Replace(server, network.OutsiderAddress, network.OutsiderName, 1))+" 30"))
	assert.Equal(t, 0, status)
	assert.Equal(t, "hello from outside\nhello from outside\n", output)

	assert.Equal(t, "nobody at "+network.OutsiderAddress+"\n",
		c.Kubectl("exec", kube.RedisPods[0], "-c", "redis", "--",
			"sh", "-c", hear+"hear "+devTCP(server)+" 2"), "a pod that no policy lets out")
}

// From a lab the machine's loopback addresses would be behind its gateway, and other labs behind the machine.
func TestPodsReachNeitherTheMachinesLoopbackNorOtherLabs(t *testing.T) {
	c := newCluster(t)
	network.ConnectOutsider(t)
	const otherLab = "10.231.0.1" // no lab's name leads to this one
	network.IP(t, "address", "add", otherLab+"/32", "dev", network.Outsider)
	loopback, other := network.Greet(t, network.ThisMachine, "127.0.0.1:0", "hello from the machine\n"),
		network.Greet(t, network.ThisMachine, otherLab+":0", "hello from another lab\n")
	for _, server := range []string{loopback, other} {
		require.NoError(t, network.Connects(t.Context(), network.ThisMachine, server), "from this machine")
	}
	gateway := strings.Fields(network.IP(t, "-netns", filepath.Base(lab.NodeNetwork()), "route", "show",
		"default"))[2]
	outside := network.Greet(t, network.OutsiderNetwork, network.OutsiderAddress+":0", "hello from outside\n")

	output, status := c.Visit(kube.Visitor(letOut(c), hear+"hear "+devTCP(outside)+" 30; "+
		"hear "+devTCP(strings.Replace(loopback, "127.0.0.1", gateway, 1))+" 2; hear "+devTCP(other)+" 2"))
	assert.Equal(t, 0, status)
	assert.Equal(t, "hello from outside\nnobody at "+gateway+"\nnobody at "+otherLab+"\n", output)
}

// letOut lets pods with the labels connect to any address while the test runs.
func letOut(c *kube.Cluster) (labels map[string]string) {
	labels = map[string]string{"e2e": "outbound"}
	policies := c.NetworkingV1().NetworkPolicies(c.Namespace)
	policy, err := policies.Create(c.T.Context(), &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: labels}, PolicyTypes: []networkingv1.PolicyType{"Egress"},
			Egress: []networkingv1.NetworkPolicyEgressRule{{}},
		},
	}, metav1.CreateOptions{})
	require.NoError(c.T, err)
	c.T.Cleanup(func() { c.Kubectl("delete", "networkpolicy", policy.Name) })
	return labels
}

// TestOtherMachinesReachNothing looks at the lab from another machine, which has a route to the lab. This
// machine forwards packets.
func TestOtherMachinesReachNothing(t *testing.T) {
	newCluster(t)
	network.ConnectOutsider(t)
	forward(t)

	control := network.Greet(t, network.ThisMachine, network.OutsiderGateway+":0", "hello from the machine\n")
	require.NoError(t, network.Connects(t.Context(), network.OutsiderNetwork, control))

	listeners := labListeners(t)
	require.Contains(t, listeners, lab.Registry())
	// Answers would take the way of new connections, which does not lead there.
	machine, _, err := net.SplitHostPort(lab.Registry())
	require.NoError(t, err)
	node := filepath.Base(lab.NodeNetwork())
	network.IP(t, "-netns", node, "route", "add", network.OutsiderAddress, "via", machine)
	t.Cleanup(func() { network.IP(t, "-netns", node, "route", "delete", network.OutsiderAddress) })
	listeners = append(listeners, net.JoinHostPort(lab.NodeAddress(), "6443"),
		net.JoinHostPort(lab.NodeAddress(), "10250"))
	for _, listener := range listeners {
		host, _, err := net.SplitHostPort(listener)
		require.NoError(t, err)
		assert.False(t, net.ParseIP(host).IsUnspecified(), "%s listens on every address", listener)
		assert.NoError(t, network.Connects(t.Context(), network.ThisMachine, listener), "from this machine")
		if !net.ParseIP(host).IsLoopback() {
			assert.Error(t, network.Connects(t.Context(), network.OutsiderNetwork, listener), "%s, from outside",
				listener)
		}
	}
}

// forward makes this machine forward packets until the test ends.
func forward(t *testing.T) {
	const setting = "/proc/sys/net/ipv4/ip_forward"
	before := proc.Read("/", setting)
	require.NoError(t, os.WriteFile(setting, []byte("1"), 0))
	t.Cleanup(func() { assert.NoError(t, os.WriteFile(setting, []byte(before), 0)) })
}

// labListeners are the TCP addresses on which the lab's processes listen in this machine's own network
// namespace.
func labListeners(t *testing.T) []string {
	process := regexp.MustCompile(`pid=(\d+)`)
	var found []string
	for line := range strings.Lines(proc.Run(t,
		exec.Command("ss", "--no-header", "--tcp", "--listening", "--numeric", "--processes"))) {
		pid := process.FindStringSubmatch(line)
		if pid != nil && lab.Owns("/proc/"+pid[1]) {
			found = append(found, strings.Fields(line)[3])
		}
	}
	return found
}

// TestThisProcessStaysInItsNamespace enters the node's namespace with many threads: one of them could be the
// process's first.
func TestThisProcessStaysInItsNamespace(t *testing.T) {
	newCluster(t)
	before, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	for range 100 {
		var visitors errgroup.Group
		for range 8 {
			visitors.Go(func() error {
				return nsenter.Do(lab.NodeNetwork(), func() error {
					for range 50 {
						runtime.Gosched()
					}
					return nil
				})
			})
		}
		require.NoError(t, visitors.Wait())
	}
	after, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

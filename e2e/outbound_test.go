package e2e

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// hear is a command that says what a server says, or that nobody answers. Policies reach a new pod a moment
// after its start.
const hear = `hear() {
	for try in $(seq $2); do timeout 3 bash -c "cat </dev/tcp/$1" 2>/dev/null && return; sleep 1; done
	echo nobody at ${1%/*}
}
`

func devTCP(address string) string { return strings.ReplaceAll(address, ":", "/") }

func TestPodsReachOtherMachinesByAddressAndName(t *testing.T) {
	c := newCluster(t)
	connectOutsider(t)
	nameOutsider(t)
	server := greet(t, outsiderNetwork(), outsiderAddress+":0", "hello from outside\n")
	labels := c.letOut()
	output, status := c.visit(labels, hear+"hear "+devTCP(server)+" 30; hear "+
		devTCP(strings.Replace(server, outsiderAddress, outsiderName, 1))+" 30")
	assert.Equal(t, int32(0), status)
	assert.Equal(t, "hello from outside\nhello from outside\n", output)

	assert.Equal(t, "nobody at "+outsiderAddress+"\n",
		run(t, command(".", "kubectl", "-n", c.namespace, "exec", redisPods[0], "-c", "redis", "--",
			"sh", "-c", hear+"hear "+devTCP(server)+" 2")), "a pod that no policy lets out")
}

// From a lab the machine's loopback addresses would be behind its gateway, and other labs behind the machine.
func TestPodsReachNeitherTheMachinesLoopbackNorOtherLabs(t *testing.T) {
	c := newCluster(t)
	connectOutsider(t)
	const otherLab = "10.231.0.1" // no lab's name leads to this one
	ip(t, "address", "add", otherLab+"/32", "dev", outsider)
	const here = "/proc/self/ns/net"
	loopback, other := greet(t, here, "127.0.0.1:0", "hello from the machine\n"),
		greet(t, here, otherLab+":0", "hello from another lab\n")
	for _, server := range []string{loopback, other} {
		connection, err := net.Dial("tcp", server)
		require.NoError(t, err, "from this machine")
		connection.Close()
	}
	gateway := strings.Fields(ip(t, "-netns", filepath.Base(nodeNetwork()), "route", "show", "default"))[2]
	outside := greet(t, outsiderNetwork(), outsiderAddress+":0", "hello from outside\n")

	output, status := c.visit(c.letOut(), hear+"hear "+devTCP(outside)+" 30; "+
		"hear "+devTCP(strings.Replace(loopback, "127.0.0.1", gateway, 1))+" 2; hear "+devTCP(other)+" 2")
	assert.Equal(t, int32(0), status)
	assert.Equal(t, "hello from outside\nnobody at "+gateway+"\nnobody at "+otherLab+"\n", output)
}

// letOut lets pods with the labels connect to any address while the test runs.
func (c *cluster) letOut() (labels map[string]string) {
	c.t.Helper()
	labels = map[string]string{"e2e": "outbound"}
	policies := c.NetworkingV1().NetworkPolicies(c.namespace)
	policy, err := policies.Create(c.t.Context(), &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: labels}, PolicyTypes: []networkingv1.PolicyType{"Egress"},
			Egress: []networkingv1.NetworkPolicyEgressRule{{}},
		},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	c.t.Cleanup(func() {
		run(c.t,
			command(".", "kubectl", "-n", c.namespace, "delete", "networkpolicy", policy.Name))
	})
	return labels
}

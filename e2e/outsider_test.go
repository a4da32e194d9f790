package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// TestOtherMachinesReachNothing looks at the lab from a network namespace that stands for another machine: it
// has a route to the lab, and this machine forwards packets.
func TestOtherMachinesReachNothing(t *testing.T) {
	c := newCluster(t)
	connectOutsider(t)
	forward(t)

	control := greet(t, "/proc/self/ns/net", outsiderGateway+":0", "hello from the machine\n")
	require.True(t, outsiderReaches(t, control), "this machine, from outside")

	listeners := labListeners(t)
	require.Contains(t, listeners, os.Getenv("STATEFUL_K3S_REGISTRY"))
	nodes, err := c.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	// Answers would take the way of new connections, which does not lead there.
	machine, _, err := net.SplitHostPort(os.Getenv("STATEFUL_K3S_REGISTRY"))
	require.NoError(t, err)
	ip(t, "-netns", filepath.Base(nodeNetwork()), "route", "add", outsiderAddress, "via", machine)
	t.Cleanup(func() { ip(t, "-netns", filepath.Base(nodeNetwork()), "route", "delete", outsiderAddress) })
	for _, node := range nodes.Items {
		address := node.Status.Addresses[0].Address
		listeners = append(listeners, net.JoinHostPort(address, "6443"), net.JoinHostPort(address, "10250"))
	}
	for _, listener := range listeners {
		host, _, err := net.SplitHostPort(listener)
		require.NoError(t, err)
		assert.False(t, net.ParseIP(host).IsUnspecified(), "%s listens on every address", listener)
		connection, err := net.Dial("tcp", listener)
		if assert.NoError(t, err, "from this machine") {
			connection.Close()
		}
		if !net.ParseIP(host).IsLoopback() {
			assert.False(t, outsiderReaches(t, listener), "%s, from outside", listener)
		}
	}
}

func outsiderReaches(t *testing.T, address string) bool {
	t.Helper()
	connection, err := load.InNamespace(t.Context(), outsiderNetwork(), address)
	if err == nil {
		connection.Close()
	}
	return err == nil
}

// forward has this machine forward packets until the test ends.
func forward(t *testing.T) {
	const setting = "/proc/sys/net/ipv4/ip_forward"
	before := read("/", setting)
	require.NoError(t, os.WriteFile(setting, []byte("1"), 0))
	t.Cleanup(func() { assert.NoError(t, os.WriteFile(setting, []byte(before), 0)) })
}

// labListeners are the TCP addresses on which the lab's processes listen in this machine's own network
// namespace.
func labListeners(t *testing.T) []string {
	t.Helper()
	process := regexp.MustCompile(`pid=(\d+)`)
	var found []string
	for line := range strings.Lines(run(t,
		exec.Command("ss", "--no-header", "--tcp", "--listening", "--numeric", "--processes"))) {
		pid := process.FindStringSubmatch(line)
		if pid != nil && strings.Contains(read(filepath.Join("/proc", pid[1]), "cgroup"), "sk3s-"+labName()+"/") {
			found = append(found, strings.Fields(line)[3])
		}
	}
	return found
}

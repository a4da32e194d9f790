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
)

// TestOtherMachinesReachNothing looks at the lab from a network namespace that stands for another machine: it has a
// route to the lab, and this machine forwards packets.
func TestOtherMachinesReachNothing(t *testing.T) {
	c := newCluster(t)
	const outside, gateway = "sk3s-outsider", "10.232.0.1"
	ip := func(args ...string) { run(t, exec.Command("ip", args...)) }
	ip("netns", "add", outside)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "delete", outside).Run() })
	ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", outside)
	ip("address", "add", gateway+"/30", "dev", outside)
	ip("link", "set", outside, "up")
	ip("-n", outside, "address", "add", "10.232.0.2/30", "dev", "eth0")
	ip("-n", outside, "link", "set", "eth0", "up")
	ip("-n", outside, "route", "add", "default", "via", gateway)
	forward(t)

	reaches := func(address string) bool {
		host, port, err := net.SplitHostPort(address)
		require.NoError(t, err)
		return exec.Command("ip", "netns", "exec", outside, "timeout", "2", "bash", "-c", "exec 3<>/dev/tcp/"+host+"/"+port).Run() == nil
	}
	control, err := net.Listen("tcp", gateway+":0")
	require.NoError(t, err)
	defer control.Close()
	require.True(t, reaches(control.Addr().String()), "this machine, from outside")

	listeners := labListeners(t)
	require.Contains(t, listeners, os.Getenv("STATEFUL_K3S_REGISTRY"))
	nodes, err := c.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
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
			assert.False(t, reaches(listener), "%s, from outside", listener)
		}
	}
}

// forward has this machine forward packets until the test ends.
func forward(t *testing.T) {
	const setting = "/proc/sys/net/ipv4/ip_forward"
	before := read("/", setting)
	require.NoError(t, os.WriteFile(setting, []byte("1"), 0))
	t.Cleanup(func() { assert.NoError(t, os.WriteFile(setting, []byte(before), 0)) })
}

// labListeners are the TCP addresses on which the lab's processes listen in this machine's own network namespace.
func labListeners(t *testing.T) []string {
	t.Helper()
	process := regexp.MustCompile(`pid=(\d+)`)
	var found []string
	for line := range strings.Lines(run(t, exec.Command("ss", "--no-header", "--tcp", "--listening", "--numeric", "--processes"))) {
		pid := process.FindStringSubmatch(line)
		if pid != nil && strings.Contains(read(filepath.Join("/proc", pid[1]), "cgroup"), "sk3s-"+labName()+"/") {
			found = append(found, strings.Fields(line)[3])
		}
	}
	return found
}

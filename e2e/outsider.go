package e2e

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/stateful-k3s/stateful-k3s/internal/connections"
	"github.com/stateful-k3s/stateful-k3s/internal/nsenter"
)

// outsider is another machine, whose part a network namespace plays, on a network of its own with this
// machine.
const (
	outsider        = "sk3s-outsider"
	outsiderAddress = "10.232.0.2"
	outsiderGateway = "10.232.0.1" // this machine
	outsiderName    = "outsider.test."
)

func ip(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, exec.Command("ip", args...))
}

// connectOutsider has the other machine on the network until the test ends.
func connectOutsider(t *testing.T) {
	t.Helper()
	ip(t, "netns", "add", outsider)
	t.Cleanup(func() { ip(t, "netns", "delete", outsider) })
	ip(t, "link", "add", outsider, "type", "veth", "peer", "name", "eth0", "netns", outsider)
	t.Cleanup(func() {
		ip(t, "link", "delete",
			outsider)
	}) // with the namespace alone it would go a moment later
	ip(t, "address", "add", outsiderGateway+"/30", "dev", outsider)
	ip(t, "link", "set", outsider, "up")
	ip(t, "-netns", outsider, "address", "add", outsiderAddress+"/30", "dev", "eth0")
	ip(t, "-netns", outsider, "link", "set", "eth0", "up")
	ip(t, "-netns", outsider, "route", "add", "default", "via", outsiderGateway)
}

// outboundProcess is the lab's way to the outside.
func outboundProcess(t *testing.T) int {
	t.Helper()
	found := findProcesses(func(dir string) bool {
		return strings.TrimSpace(read(dir, "comm")) == "slirp4netns" &&
			strings.Contains(read(dir, "cgroup"), "sk3s-"+labName()+"/")
	})
	require.Len(t, found, 1)
	return found[0]
}

func outsiderNetwork() string { return filepath.Join("/run/netns", outsider) }

// greet has a server in a network namespace send a text to whoever connects, and returns its address,
// host:port, of which it chooses the port if that is 0.
func greet(t *testing.T, network, address, text string) string {
	t.Helper()
	var server net.Listener
	require.NoError(t, nsenter.Do(network, func() (err error) {
		server, err = net.Listen("tcp", address)
		return err
	}))
	t.Cleanup(func() { server.Close() })
	go func() {
		for {
			client, err := server.Accept()
			if err != nil {
				return // the test has ended
			}
			_, _ = client.Write([]byte(text)) // the client sees what is missing
			client.Close()
		}
	}()
	return server.Addr().String()
}

// nameOutsider makes the other machine the name server that the lab's way to the outside asks, where it
// answers for its own name. The rest of this machine goes on asking its own.
func nameOutsider(t *testing.T) {
	t.Helper()
	serveNames(t, net.JoinHostPort(outsiderAddress, "53"))
	settings := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(settings, []byte("nameserver "+outsiderAddress+"\n"), 0o644))
	file, err := unix.OpenTree(unix.AT_FDCWD, settings, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(file)
	inOutbound := func(do func() error) error {
		return nsenter.Do(filepath.Join("/proc", strconv.Itoa(outboundProcess(t)), "ns", "mnt"), do)
	}
	require.NoError(t, inOutbound(func() error {
		return unix.MoveMount(file, "", unix.AT_FDCWD, "/etc/resolv.conf",
			unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS)
	}))
	t.Cleanup(func() {
		require.NoError(t, inOutbound(func() error { return unix.Unmount("/etc/resolv.conf", 0) }))
	})
}

// serveNames has a name server at an address of the other machine.
func serveNames(t *testing.T, address string) {
	t.Helper()
	var server net.PacketConn
	require.NoError(t, nsenter.Do(outsiderNetwork(), func() (err error) {
		server, err = net.ListenPacket("udp", address)
		return err
	}))
	t.Cleanup(func() { server.Close() })
	go func() {
		for packet := make([]byte, 512); ; {
			n, client, err := server.ReadFrom(packet)
			if err != nil {
				return // the test has ended
			}
			if answer, err := answerNames(packet[:n]); err == nil {
				_, _ = server.WriteTo(answer, client) // the client asks again
			}
		}
	}()
}

// answerNames knows one IPv4 address, that of the outsider's name.
func answerNames(packet []byte) ([]byte, error) {
	var message dnsmessage.Message
	if err := message.Unpack(packet); err != nil {
		return nil, err
	}
	message.Response, message.RCode = true, dnsmessage.RCodeNameError
	message.Additionals = nil
	for _, question := range message.Questions {
		if question.Name.String() != outsiderName {
			continue
		}
		message.RCode = dnsmessage.RCodeSuccess
		if question.Type == dnsmessage.TypeA {
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(outsiderAddress).To4())},
			})
		}
	}
	return message.Pack()
}

var (
	// elsewhere are addresses of another machine: in the internet, in private networks, and where clouds tell
	// virtual machines secrets.
	elsewhere = []netip.Addr{
		netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("10.232.1.1"), netip.MustParseAddr("172.16.0.1"),
		netip.MustParseAddr("192.168.250.1"),
		netip.MustParseAddr("100.64.0.1"), netip.MustParseAddr("169.254.169.254"),
	}
	outsiderPorts = []connections.Port{
		{Protocol: corev1.ProtocolTCP, Number: 53}, {Protocol: corev1.ProtocolUDP, Number: 53},
		{Protocol: corev1.ProtocolTCP, Number: 80}, {Protocol: corev1.ProtocolTCP, Number: 443},
	}
)

// plugOutsiderIn gives the other machine a cable to the node, which has a route to all of its addresses
// there, and it one to pods and Services. So nothing but policies is in the way of either.
func (c *cluster) plugOutsiderIn() {
	t := c.t
	t.Helper()
	connectOutsider(t)
	const cable, nodeEnd = "e2e", "10.232.1.2"
	node := filepath.Base(nodeNetwork())
	ip(t, "-netns", node, "link", "add", cable, "type", "veth", "peer", "name", cable, "netns", outsider)
	t.Cleanup(func() { ip(t, "-netns", node, "link", "delete", cable) })
	ip(t, "-netns", node, "address", "add", nodeEnd+"/32", "dev", cable)
	ip(t, "-netns", node, "link", "set", cable, "up")
	ip(t, "-netns", outsider, "link", "set", cable, "up")
	for _, address := range elsewhere {
		ip(t, "-netns", outsider, "address", "add", address.String()+"/32", "dev", cable)
		ip(t, "-netns", node, "route", "add", address.String(), "dev", cable)
	}
	ip(t, "-netns", outsider, "route", "add", nodeEnd, "dev", cable, "src", "10.232.1.1")
	for _, network := range []string{"10.42.0.0/16", "10.43.0.0/16"} { // k3s's own
		ip(t, "-netns", outsider, "route", "add", network, "via", nodeEnd, "src", "10.232.1.1")
	}
	for _, address := range elsewhere {
		for _, port := range outsiderPorts {
			server := netip.AddrPortFrom(address, uint16(port.Number)).String()
			if port.Protocol == corev1.ProtocolTCP {
				greet(t, outsiderNetwork(), server, "hello from outside\n")
			} else {
				serveNames(t, server)
			}
		}
	}
}

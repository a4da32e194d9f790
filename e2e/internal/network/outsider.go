// Package network finds out who can connect to what: pods, the node, this machine, and another machine.
package network

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/internal/connections"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
	"github.com/stateful-k3s/stateful-k3s/internal/nsenter"
)

// The outsider is another machine, played by a network namespace on a network of its own with this machine.
const (
	Outsider        = "sk3s-outsider"
	OutsiderNetwork = "/run/netns/" + Outsider
	OutsiderAddress = "10.232.0.2"
	OutsiderGateway = "10.232.0.1" // this machine
	OutsiderName    = "outsider.test."

	// ThisMachine is the network namespace of the tests.
	ThisMachine = "/proc/self/ns/net"
)

// IP runs ip(8).
func IP(t *testing.T, args ...string) string { return proc.Run(t, exec.Command("ip", args...)) }

// ipUntilEnd runs ip(8), with "add" in its arguments, which becomes "delete" when the test ends.
func ipUntilEnd(t *testing.T, verb int, args ...string) {
	IP(t, args...)
	undo := append([]string{}, args[:verb+2]...)
	undo[verb] = "delete"
	t.Cleanup(func() { IP(t, undo...) })
}

// ConnectOutsider connects the outsider with this machine until the test ends.
func ConnectOutsider(t *testing.T) {
	// Tests that were killed may have left it.
	_ = exec.Command("ip", "link", "delete", Outsider).Run()
	_ = exec.Command("ip", "netns", "delete", Outsider).Run()
	ipUntilEnd(t, 1, "netns", "add", Outsider)
	// With the namespace alone, the link would disappear a moment later.
	ipUntilEnd(t, 1, "link", "add", Outsider, "type", "veth", "peer", "name", "eth0", "netns", Outsider)
	IP(t, "address", "add", OutsiderGateway+"/30", "dev", Outsider)
	IP(t, "link", "set", Outsider, "up")
	IP(t, "-netns", Outsider, "address", "add", OutsiderAddress+"/30", "dev", "eth0")
	IP(t, "-netns", Outsider, "link", "set", "eth0", "up")
	IP(t, "-netns", Outsider, "route", "add", "default", "via", OutsiderGateway)
}

// Greet sends a text to everybody who connects to a server in a network namespace, and returns the server's
// host:port. Port 0 chooses one.
func Greet(t *testing.T, network, address, text string) string {
	return tell(t, network, address, func(net.Conn) string { return text })
}

// TellAddresses tells everybody who connects to a server in a network namespace the IP address that it sees,
// and returns the server's host:port.
func TellAddresses(t *testing.T, network, address string) string {
	return tell(t, network, address, func(client net.Conn) string {
		return client.RemoteAddr().(*net.TCPAddr).IP.String()
	})
}

func tell(t *testing.T, network, address string, text func(net.Conn) string) string {
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
			_, _ = client.Write([]byte(text(client))) // the client sees what is missing
			client.Close()
		}
	}()
	return server.Addr().String()
}

// Ask connects to a server from a network namespace, and returns what the server says.
func Ask(ctx context.Context, network, address string) (string, error) {
	connection, err := load.InNamespace(ctx, network, address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	said, err := io.ReadAll(connection)
	return string(said), err
}

// Connects returns why there is no answer at an address, seen from a network namespace.
func Connects(ctx context.Context, network, address string) error {
	connection, err := load.InNamespace(ctx, network, address)
	if err == nil {
		connection.Close()
	}
	return err
}

// NameOutsider makes the outsider the name server of the lab's way out. It answers for its own name. The rest
// of this machine keeps its name servers.
func NameOutsider(t *testing.T) {
	serveNames(t, net.JoinHostPort(OutsiderAddress, "53"))
	settings := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(settings, []byte("nameserver "+OutsiderAddress+"\n"), 0o644))
	file, err := unix.OpenTree(unix.AT_FDCWD, settings, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(file)
	wayOut := proc.Find(func(dir string) bool { return proc.Name(dir) == "slirp4netns" && lab.Owns(dir) })
	require.Len(t, wayOut, 1)
	mounts := proc.Dir(wayOut[0]) + "/ns/mnt"
	require.NoError(t, nsenter.Do(mounts, func() error {
		return unix.MoveMount(file, "", unix.AT_FDCWD, "/etc/resolv.conf",
			unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS)
	}))
	t.Cleanup(func() {
		require.NoError(t, nsenter.Do(mounts, func() error { return unix.Unmount("/etc/resolv.conf", 0) }))
	})
}

// serveNames answers as a name server at an address of the outsider.
func serveNames(t *testing.T, address string) {
	var server net.PacketConn
	require.NoError(t, nsenter.Do(OutsiderNetwork, func() (err error) {
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

// answerNames knows one IPv4 address, of the outsider's name.
func answerNames(packet []byte) ([]byte, error) {
	var message dnsmessage.Message
	if err := message.Unpack(packet); err != nil {
		return nil, err
	}
	message.Response, message.RCode = true, dnsmessage.RCodeNameError
	message.Additionals = nil
	for _, question := range message.Questions {
		if question.Name.String() != OutsiderName {
			continue
		}
		message.RCode = dnsmessage.RCodeSuccess
		if question.Type == dnsmessage.TypeA {
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: netip.MustParseAddr(OutsiderAddress).As4()},
			})
		}
	}
	return message.Pack()
}

var (
	// elsewhere are addresses of the outsider: in the internet, in private networks, and where clouds tell
	// virtual machines secrets.
	elsewhere = []string{"198.51.100.1", "10.232.1.1", "172.16.0.1", "192.168.250.1", "100.64.0.1",
		"169.254.169.254"}
	outsiderPorts = []connections.Port{
		{Protocol: corev1.ProtocolTCP, Number: 53}, {Protocol: corev1.ProtocolUDP, Number: 53},
		{Protocol: corev1.ProtocolTCP, Number: 80}, {Protocol: corev1.ProtocolTCP, Number: 443},
	}
)

// PlugOutsiderIn gives the outsider a cable to the node. The node has routes to all of its addresses, and it
// has routes to pods and Services, so that nothing but policies is in the way of either.
func PlugOutsiderIn(t *testing.T) {
	ConnectOutsider(t)
	const cable, nodeEnd = "e2e", "10.232.1.2"
	node := filepath.Base(lab.NodeNetwork())
	ipUntilEnd(t, 3, "-netns", node, "link", "add", cable, "type", "veth", "peer", "name", cable, "netns",
		Outsider)
	IP(t, "-netns", node, "address", "add", nodeEnd+"/32", "dev", cable)
	IP(t, "-netns", node, "link", "set", cable, "up")
	IP(t, "-netns", Outsider, "link", "set", cable, "up")
	for _, address := range elsewhere {
		IP(t, "-netns", Outsider, "address", "add", address+"/32", "dev", cable)
		IP(t, "-netns", node, "route", "add", address, "dev", cable)
	}
	IP(t, "-netns", Outsider, "route", "add", nodeEnd, "dev", cable, "src", elsewhere[1])
	for _, network := range []string{"10.42.0.0/16", "10.43.0.0/16"} { // k3s's own
		IP(t, "-netns", Outsider, "route", "add", network, "via", nodeEnd, "src", elsewhere[1])
	}
	for _, address := range elsewhere {
		for _, port := range outsiderPorts {
			server := net.JoinHostPort(address, strconv.Itoa(int(port.Number)))
			if port.Protocol == corev1.ProtocolTCP {
				Greet(t, OutsiderNetwork, server, "hello from outside\n")
			} else {
				serveNames(t, server)
			}
		}
	}
}

package cluster

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// connectedLab returns a lab of two nodes without k3s.
func connectedLab(t *testing.T, name string) layout.Lab {
	t.Helper()
	lab, err := layout.New(name, t.TempDir(), t.TempDir())
	require.NoError(t, err)
	lab, err = lab.WithNodes(2)
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, node := range lab.Nodes() {
			assert.NoError(t, disconnectNode(context.Background(), node))
		}
		assert.NoError(t, deleteLink(context.Background(), lab.ID()))
	})
	require.NoError(t, createBridge(t.Context(), lab))
	for _, node := range lab.Nodes() {
		require.NoError(t, connectNode(t.Context(), lab, node))
	}
	return lab
}

// tellAddresses serves at an address of a node, or of this machine for nil. Its clients hear their own
// address.
func tellAddresses(t *testing.T, node *layout.Node, address string) (server string) {
	t.Helper()
	var listener net.Listener
	listen := func() (err error) {
		listener, err = net.Listen("tcp", net.JoinHostPort(address, "0"))
		return err
	}
	if node == nil {
		require.NoError(t, listen())
	} else {
		require.NoError(t, inNetwork(*node, listen))
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // the test has ended
			}
			_, _ = io.WriteString(client, client.RemoteAddr().(*net.TCPAddr).IP.String())
			client.Close()
		}
	}()
	return listener.Addr().String()
}

// ask connects to a server from an address of the node, and returns what the server says.
func ask(t *testing.T, node layout.Node, from, server string) string {
	t.Helper()
	var said []byte
	require.NoError(t, inNetwork(node, func() error {
		dialer := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		connection, err := dialer.DialContext(t.Context(), "tcp", server)
		if err != nil {
			return err
		}
		defer connection.Close()
		said, err = io.ReadAll(connection)
		return err
	}))
	return string(said)
}

// Policies are about the addresses of pods, so other nodes must see them. This machine knows only nodes.
func TestPodsKeepTheirAddressesAmongNodes(t *testing.T) {
	lab := connectedLab(t, "joined")
	pods := []string{"10.42.0.7", "10.42.1.7"}
	for i, node := range lab.Nodes() {
		_, err := run(t.Context(), append(inNamespace(node), "ip", "address", "add", pods[i]+"/32", "dev", "lo")...)
		require.NoError(t, err)
	}
	machine := tellAddresses(t, nil, lab.HostAddress().String())
	for i, node := range lab.Nodes() {
		other := lab.Nodes()[1-i]
		assert.Equal(t, pods[i], ask(t, node, pods[i], tellAddresses(t, &other, pods[1-i])))
		assert.Equal(t, node.Address().String(), ask(t, node, pods[i], machine))
	}
}

// With Docker on this machine its packet filter sees what goes from node to node, and drops it.
func TestAFirewallBetweenNodesIsReportedWithTheCommand(t *testing.T) {
	lab := connectedLab(t, "bridged")
	filtered := filepath.Join("/sys/class/net", lab.ID(), "bridge/nf_call_iptables")
	require.NoError(t, os.WriteFile(filtered, []byte("1"), 0), "this test needs modprobe br_netfilter")
	server := lab.Nodes()[0]
	for _, address := range []string{lab.Registry(), apiAddress(lab)} {
		host, _, err := net.SplitHostPort(address)
		require.NoError(t, err)
		listen := func() error {
			listener, err := net.Listen("tcp", address)
			if err == nil {
				t.Cleanup(func() { listener.Close() })
			}
			return err
		}
		if host == lab.HostAddress().String() {
			require.NoError(t, listen())
		} else {
			require.NoError(t, inNetwork(server, listen))
		}
	}
	agent := lab.Nodes()[1]
	require.NoError(t, checkFirewall(t.Context(), lab, agent))
	nft(t, `table ip walled-forward { chain forward {
		type filter hook forward priority filter
		iifname `+lab.ID()+` drop
	}
	}`)
	t.Cleanup(func() { nft(t, "delete table ip walled-forward") })
	err := checkFirewall(t.Context(), lab, agent)
	require.ErrorContains(t, err, "the lab's nodes do not reach each other: ")
	command := "insert rule ip walled-forward forward iifname sk3s-bridged oifname sk3s-bridged accept"
	assert.Contains(t, err.Error(), "\nnft "+command)
	nft(t, command)
	assert.NoError(t, checkFirewall(t.Context(), lab, agent))
}

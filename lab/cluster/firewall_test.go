package cluster

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// Other tables drop the packets of the lab's bridge, as ufw does, until the command is run.
func TestAFirewallInTheWayIsReportedWithTheCommand(t *testing.T) {
	lab, err := layout.New("walled", t.TempDir(), t.TempDir())
	require.NoError(t, err)
	node := lab.Nodes()[0]
	t.Cleanup(func() {
		assert.NoError(t, disconnectNode(context.Background(), node))
		assert.NoError(t, deleteLink(context.Background(), lab.ID()))
	})
	require.NoError(t, createBridge(t.Context(), lab))
	require.NoError(t, connectNode(t.Context(), lab, node))
	registry, err := net.Listen("tcp", lab.Registry())
	require.NoError(t, err)
	t.Cleanup(func() { registry.Close() })
	require.NoError(t, checkFirewall(t.Context(), lab, node))

	for hook, side := range map[string]string{"input": "iifname", "output": "oifname"} {
		table := "walled-" + hook
		nft(t, "table inet "+table+` { chain `+hook+` {
			type filter hook `+hook+` priority filter
			ct state established,related accept
			`+side+` `+lab.ID()+` drop
		}
		}`)
		t.Cleanup(func() { nft(t, "delete table inet "+table) })
		command := "nft insert rule inet " + table + " " + hook + " " + side + " " + lab.ID() + " accept"
		err := checkFirewall(t.Context(), lab, node)
		require.ErrorContains(t, err, "a firewall drops connections on the bridge sk3s-walled. Let them in, as "+
			"root, and run the command again:\n")
		assert.Contains(t, strings.Split(err.Error(), "\n"), command)
		nft(t, strings.TrimPrefix(command, "nft "))
		require.NoError(t, checkFirewall(t.Context(), lab, node))
	}
}

func nft(t *testing.T, script string) {
	t.Helper()
	cmd := exec.Command("nft", "--file", "-")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestOnlyChainsThatMayDropAreOpened(t *testing.T) {
	assert.Equal(t, []string{"nft insert rule ip filter INPUT iifname sk3s-dev accept",
		"nft insert rule inet fw out oifname sk3s-dev accept"}, acceptCommands([]byte(`{"nftables": [
		{"metainfo": {"version": "1.0.6"}},
		`+chain("inet", "sk3s-dev", "input", "filter", "input")+`,
		`+chain("ip", "filter", "INPUT", "filter", "input")+`,
		{"chain": {"family": "ip", "table": "filter", "name": "DOCKER"}},
		`+chain("ip", "filter", "FORWARD", "filter", "forward")+`,
		`+chain("ip", "nat", "OUTPUT", "nat", "output")+`,
		`+chain("ip6", "filter", "INPUT", "filter", "input")+`,
		`+chain("inet", "fw", "out", "filter", "output")+`
	]}`), map[string]string{"input": "iifname sk3s-dev", "output": "oifname sk3s-dev"}))
}

func chain(family, table, name, kind, hook string) string {
	return fmt.Sprintf(`{"chain": {"family": %q, "table": %q, "name": %q, "type": %q, "hook": %q, "prio": 0}}`,
		family, table, name, kind, hook)
}

package cluster

import (
	"context"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// TestAFirewallInTheWayIsToldWithTheCommand has tables of somebody else drop what comes in or goes out on the
// lab's bridge, as ufw does, and then types what it says.
func TestAFirewallInTheWayIsToldWithTheCommand(t *testing.T) {
	lab, err := layout.New("walled", t.TempDir(), t.TempDir())
	require.NoError(t, err)
	node := lab.Nodes()[0]
	t.Cleanup(func() {
		assert.NoError(t, nodeDown(context.Background(), node))
		assert.NoError(t, linkDown(context.Background(), lab.ID()))
	})
	require.NoError(t, bridgeUp(t.Context(), lab))
	require.NoError(t, nodeUp(t.Context(), lab, node))
	registry, err := net.Listen("tcp", lab.Registry())
	require.NoError(t, err)
	t.Cleanup(func() { registry.Close() })
	require.NoError(t, meet(t.Context(), lab, node))

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
		err := meet(t.Context(), lab, node)
		require.ErrorContains(t, err,
			"a firewall drops connections on the bridge sk3s-walled. Let them in, as root, and run the command again:\n")
		assert.Contains(t, strings.Split(err.Error(), "\n"), command)
		nft(t, strings.TrimPrefix(command, "nft "))
		require.NoError(t, meet(t.Context(), lab, node))
	}
}

func nft(t *testing.T, script string) {
	t.Helper()
	cmd := exec.Command("nft", "--file", "-")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestChainsOfLabsAndOthersThatDropNothingAreLeftOut(t *testing.T) {
	assert.Equal(t, []string{"nft insert rule ip filter INPUT iifname sk3s-dev accept",
		"nft insert rule inet fw out oifname sk3s-dev accept"}, acceptIn([]byte(`{"nftables": [
		{"metainfo": {"version": "1.0.6"}},
		{"chain": {"family": "inet", "table": "sk3s-dev", "name": "input", "type": "filter", "hook": "input", "prio": -10, "policy": "accept"}},
		{"chain": {"family": "ip", "table": "filter", "name": "INPUT", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
		{"chain": {"family": "ip", "table": "filter", "name": "DOCKER"}},
		{"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
		{"chain": {"family": "ip", "table": "nat", "name": "OUTPUT", "type": "nat", "hook": "output", "prio": -100, "policy": "accept"}},
		{"chain": {"family": "ip6", "table": "filter", "name": "INPUT", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
		{"chain": {"family": "inet", "table": "fw", "name": "out", "type": "filter", "hook": "output", "prio": 0, "policy": "drop"}}
	]}`), "sk3s-dev"))
}

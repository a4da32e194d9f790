package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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

// Ufw 0.36.2 and firewalld 1.3.3 answer like this.
func TestTheFirewallInUseIsOpenedWithItsOwnCommands(t *testing.T) {
	lab, err := layout.New("walled", t.TempDir(), t.TempDir())
	require.NoError(t, err)
	const active, inactive, absent = "echo 'Status: active'", "echo 'Status: inactive'", ""
	const running, stopped = "echo running", "echo 'not running' >&2; exit 252"
	const ufw = "ufw allow in on sk3s-walled\nufw allow out on sk3s-walled"
	const firewalld = "firewall-cmd --permanent --zone=trusted --add-interface=sk3s-walled\n" +
		"firewall-cmd --reload"
	const neither = "nft list ruleset"
	for _, test := range []struct{ ufw, firewalld, want string }{
		{active, stopped, ufw}, {active, absent, ufw}, {inactive, running, firewalld}, {absent, running, firewalld},
		{inactive, stopped, neither}, {absent, absent, neither},
	} {
		programs := t.TempDir()
		for name, script := range map[string]string{"ufw": test.ufw, "firewall-cmd": test.firewalld} {
			if script != absent {
				script = "#!/bin/sh\n" + script + "\n"
				require.NoError(t, os.WriteFile(filepath.Join(programs, name), []byte(script), 0o755))
			}
		}
		t.Setenv("PATH", programs)
		assert.Contains(t, strings.Join(openFirewall(t.Context(), lab), "\n"), test.want)
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

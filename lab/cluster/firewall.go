package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// firewallUp keeps other machines out. The lab's addresses are private, but Linux answers for each of its
// addresses on every interface, and a machine that routes would pass packets on to the nodes.
func firewallUp(ctx context.Context, lab layout.Lab) error {
	// The first line makes the table exist, so that the second can delete it; all of it takes effect at once.
	rules := fmt.Sprintf(`table inet %[1]s
delete table inet %[1]s
table inet %[1]s {
	chain input {
		type filter hook input priority filter - 10
		ip daddr %[2]s iifname != { "lo", "%[1]s" } drop
	}
	chain forward {
		type filter hook forward priority filter - 10
		oifname "%[1]s" iifname != "%[1]s" ct state new drop
	}
}
`, lab.ID(), lab.Subnet())
	cmd := exec.CommandContext(ctx, "nft", "--file", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

func firewallDown(ctx context.Context, lab layout.Lab) error {
	tables, err := run(ctx, "nft", "list", "tables", "inet")
	if err != nil || !strings.Contains(tables+"\n", "table inet "+lab.ID()+"\n") {
		return err
	}
	_, err = run(ctx, "nft", "delete", "table", "inet", lab.ID())
	return err
}

// meet fails when this machine and the node do not reach each other, and says which command lets them. A
// firewall of the machine's own would be noticed minutes later, by images that cannot be pulled.
func meet(ctx context.Context, lab layout.Lab, node layout.Node) error {
	err := inNetwork(node, func() error { return dial(ctx, lab.Registry()) })
	if err == nil {
		err = reachNode(ctx, node)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("this machine and the lab's node do not reach each other: %w: a firewall drops connections on the bridge %s. "+
		"Let them in, as root, and run the command again:\n%s", err, lab.ID(), strings.Join(letIn(ctx, lab), "\n"))
}

// reachNode connects to a port of the node that is open for this alone.
func reachNode(ctx context.Context, node layout.Node) error {
	var listener net.Listener
	err := inNetwork(node, func() (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(node.Address(), 0).String())
		return err
	})
	if err != nil {
		return err
	}
	defer listener.Close()
	return dial(ctx, listener.Addr().String())
}

func dial(ctx context.Context, address string) error {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return connection.Close()
}

// inNetwork calls do in the node's network namespace. Sockets that do opens stay there.
func inNetwork(node layout.Node, do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // it ends with this goroutine, so that no other one gets into the namespace
		namespace, err := os.Open(filepath.Join("/run/netns", node.ID()))
		if err != nil {
			done <- err
			return
		}
		defer namespace.Close()
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("entering the network of node %s: %w", node.Name(), err)
			return
		}
		done <- do()
	}()
	return <-done
}

// letIn are the commands that open this machine's firewall for the lab's bridge.
func letIn(ctx context.Context, lab layout.Lab) []string {
	bridge := lab.ID()
	if status, err := run(ctx, "ufw", "status"); err == nil && strings.Contains(status, "Status: active") {
		return []string{"ufw allow in on " + bridge, "ufw allow out on " + bridge}
	}
	if _, err := run(ctx, "firewall-cmd", "--state"); err == nil {
		return []string{"firewall-cmd --permanent --zone=trusted --add-interface=" + bridge,
			"firewall-cmd --reload"}
	}
	var commands []string
	if tables, err := os.ReadFile("/proc/net/ip_tables_names"); err == nil &&
		strings.Contains(string(tables), "filter") {
		commands = append(commands,
			"iptables-legacy --insert INPUT --in-interface "+bridge+" --jump ACCEPT",
			"iptables-legacy --insert OUTPUT --out-interface "+bridge+" --jump ACCEPT")
	}
	chains, err := run(ctx, "nft", "--json", "list", "chains")
	if err != nil {
		return append(commands, "nft list ruleset # shows the rules: this machine's other tables must accept what comes in or goes out on "+bridge)
	}
	return append(commands, acceptIn([]byte(chains), bridge)...)
}

// acceptIn are commands that have all chains accept what comes in or goes out on the bridge, but those of
// labs. Chains are as nft lists them.
func acceptIn(chains []byte, bridge string) []string {
	var listed struct {
		Nftables []struct {
			Chain struct{ Family, Table, Name, Type, Hook string }
		}
	}
	if json.Unmarshal(chains, &listed) != nil {
		return nil
	}
	var commands []string
	for _, entry := range listed.Nftables {
		c := entry.Chain
		side := map[string]string{"input": "iifname", "output": "oifname"}[c.Hook]
		if c.Type != "filter" || side == "" || c.Family != "ip" && c.Family != "inet" ||
			strings.HasPrefix(c.Table, layout.Prefix) {
			continue
		}
		commands = append(commands, fmt.Sprintf("nft insert rule %s %s %s %s %s accept", c.Family, c.Table, c.Name,
			side, bridge))
	}
	return commands
}

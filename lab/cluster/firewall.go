package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// protectNetwork keeps other machines out. The lab's addresses are private, but Linux answers for its
// addresses on every interface, and a machine that routes would forward packets to the nodes.
func protectNetwork(ctx context.Context, lab layout.Lab) error {
	return loadRules(ctx, render("firewall.nft", lab))
}

func unprotectNetwork(ctx context.Context, lab layout.Lab) error {
	tables, err := run(ctx, "nft", "list", "tables", "inet")
	if errors.Is(err, exec.ErrNotFound) {
		return nil // no lab was ever started here
	}
	if err != nil || !strings.Contains(tables+"\n", "table inet "+lab.ID()+"\n") {
		return err
	}
	_, err = run(ctx, "nft", "delete", "table", "inet", lab.ID())
	return err
}

// checkFirewall fails if this machine and the node, or the node and the server, do not reach each other, with
// the commands that let them. Without it a firewall would show minutes later, as images that cannot be
// pulled.
func checkFirewall(ctx context.Context, lab layout.Lab, node layout.Node) error {
	apart := "this machine and the lab's node"
	err := inNetwork(node, func() error { return dial(ctx, lab.Registry()) })
	if err == nil {
		err = dialNode(ctx, node)
	}
	if err == nil && !node.IsServer() {
		apart = "the lab's nodes"
		err = inNetwork(node, func() error { return dial(ctx, apiAddress(lab)) })
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%s do not reach each other: %w: a firewall drops connections on the bridge %s. "+
		"Let them in, as root, and run the command again:\n%s",
		apart, err, lab.ID(), strings.Join(openFirewall(ctx, lab), "\n"))
}

// dialNode connects to a port of the node that it opens itself.
func dialNode(ctx context.Context, node layout.Node) error {
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

// inNetwork calls do in the node's network namespace. The sockets that do opens stay there.
func inNetwork(node layout.Node, do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with this goroutine, so that no other runs in the namespace
		if err := enterNetwork(node.ID()); err != nil {
			done <- err
			return
		}
		done <- do()
	}()
	return <-done
}

// openFirewall returns the commands that open this machine's firewall for the lab's bridge.
func openFirewall(ctx context.Context, lab layout.Lab) []string {
	bridge := lab.ID()
	if status, err := run(ctx, "ufw", "status"); err == nil && strings.Contains(status, "Status: active") {
		commands := []string{"ufw allow in on " + bridge, "ufw allow out on " + bridge}
		if len(lab.Nodes()) > 1 {
			commands = append(commands, "ufw route allow in on "+bridge+" out on "+bridge)
		}
		return commands
	}
	if _, err := run(ctx, "firewall-cmd", "--state"); err == nil {
		return []string{
			"firewall-cmd --permanent --zone=trusted --add-interface=" + bridge, "firewall-cmd --reload",
		}
	}
	var commands []string
	if tables, err := os.ReadFile("/proc/net/ip_tables_names"); err == nil &&
		strings.Contains(string(tables), "filter") {
		commands = append(commands,
			"iptables-legacy --insert INPUT --in-interface "+bridge+" --jump ACCEPT",
			"iptables-legacy --insert OUTPUT --out-interface "+bridge+" --jump ACCEPT")
		if len(lab.Nodes()) > 1 {
			commands = append(commands, "iptables-legacy --insert FORWARD --in-interface "+bridge+" --out-interface "+
				bridge+" --jump ACCEPT")
		}
	}
	chains, err := run(ctx, "nft", "--json", "list", "chains")
	if err != nil {
		return append(commands, "nft list ruleset # shows the rules: this machine's other tables must accept "+
			"what comes in or goes out on "+bridge)
	}
	packets := map[string]string{"input": "iifname " + bridge, "output": "oifname " + bridge}
	if len(lab.Nodes()) > 1 {
		packets["forward"] = "iifname " + bridge + " oifname " + bridge
	}
	return append(commands, acceptCommands([]byte(chains), packets)...)
}

// acceptCommands returns commands that make all chains except the labs' accept packets, by their hook.
func acceptCommands(chains []byte, packets map[string]string) []string {
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
		packet := packets[c.Hook]
		if c.Type != "filter" || packet == "" || c.Family != "ip" && c.Family != "inet" ||
			strings.HasPrefix(c.Table, layout.Prefix) {
			continue
		}
		commands = append(commands, fmt.Sprintf("nft insert rule %s %s %s %s accept",
			c.Family, c.Table, c.Name, packet))
	}
	return commands
}

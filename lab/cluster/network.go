package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// createBridge creates the lab's bridge, which is the machine's end of its network.
func createBridge(ctx context.Context, lab layout.Lab) error {
	if !exists(filepath.Join("/sys/class/net", lab.ID())) {
		if taken, _ := run(ctx, "ip", "-o", "route", "show", "exact", lab.Subnet().String()); taken != "" {
			return fmt.Errorf("the network %s is in use already: %s; choose another name for this lab, for example "+
				"LAB=%sb", lab.Subnet(), taken, lab.Name)
		}
		if _, err := run(ctx, "ip", "link", "add", lab.ID(), "type", "bridge"); err != nil {
			return err
		}
	}
	return runAll(ctx,
		[]string{"ip", "address", "replace", lab.HostAddress().String() + "/24", "dev", lab.ID()},
		[]string{"ip", "link", "set", lab.ID(), "up"},
	)
}

// connectNode recreates the node's network namespace and connects it to the bridge. The node does not reach
// other labs, though the machine could route to them.
func connectNode(ctx context.Context, lab layout.Lab, node layout.Node) error {
	if err := disconnectNode(ctx, node); err != nil {
		return err
	}
	inside := func(args ...string) []string { return append(inNamespace(node), args...) }
	err := runAll(ctx,
		[]string{"ip", "netns", "add", node.ID()},
		[]string{"ip", "link", "add", node.ID(), "type", "veth", "peer", "name", "eth0", "netns", node.ID()},
		[]string{"ip", "link", "set", node.ID(), "master", lab.ID(), "up"},
		inside("ip", "link", "set", "lo", "up"),
		inside("ip", "address", "add", node.Address().String()+"/24", "dev", "eth0"),
		inside("ip", "link", "set", "eth0", "up"),
		inside("ip", "route", "add", "unreachable", layout.Range.String()),
	)
	if err != nil || len(lab.Nodes()) == 1 {
		return err
	}
	if err := routePods(ctx, lab, node); err != nil {
		return err
	}
	return loadRules(ctx, render("masquerade.nft", podNetwork), inNamespace(node)...)
}

// routePods leads packets for pods of other nodes there.
func routePods(ctx context.Context, lab layout.Lab, node layout.Node) error {
	for _, other := range lab.Nodes() {
		if other == node {
			continue
		}
		route := []string{"ip", "route", "replace", podsOf(other), "via", other.Address().String()}
		if _, err := run(ctx, append(inNamespace(node), route...)...); err != nil {
			return err
		}
	}
	return nil
}

// inNamespace starts a command that runs in the node's network namespace.
func inNamespace(node layout.Node) []string {
	return []string{"nsenter", "--net=" + namespacePath(node.ID())}
}

// loadRules adds rules to the packet filter, in the namespace that the command in front of nft enters.
func loadRules(ctx context.Context, rules string, in ...string) error {
	command := append(in, "nft", "--file", "-")
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

func disconnectNode(ctx context.Context, node layout.Node) error {
	if err := deleteLink(ctx, node.ID()); err != nil {
		return err
	}
	if exists(namespacePath(node.ID())) {
		if _, err := run(ctx, "ip", "netns", "delete", node.ID()); err != nil {
			return err
		}
	}
	return nil
}

// deleteLink deletes an interface, if it exists.
func deleteLink(ctx context.Context, name string) error {
	if !exists(filepath.Join("/sys/class/net", name)) {
		return nil
	}
	_, err := run(ctx, "ip", "link", "delete", name)
	return err
}

func run(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return text, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, text)
	}
	return text, nil
}

func runAll(ctx context.Context, commands ...[]string) error {
	for _, command := range commands {
		if _, err := run(ctx, command...); err != nil {
			return err
		}
	}
	return nil
}

// namespacePath returns the path of a network namespace that ip(8) named.
func namespacePath(name string) string { return filepath.Join("/run/netns", name) }

// enterNetwork moves this thread into a network namespace.
func enterNetwork(name string) error {
	namespace, err := os.Open(namespacePath(name))
	if err != nil {
		return err
	}
	defer namespace.Close()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering the network namespace %s: %w", name, err)
	}
	return nil
}

package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// bridgeUp makes the lab's bridge, which has the machine's end of its network.
func bridgeUp(ctx context.Context, lab layout.Lab) error {
	if !exists(filepath.Join("/sys/class/net", lab.ID())) {
		if taken, _ := run(ctx, "ip", "-o", "route", "show", "exact", lab.Subnet().String()); taken != "" {
			return fmt.Errorf("the network %s is in use already: %s; choose another name for this lab, for example LAB=%sb", lab.Subnet(), taken, lab.Name)
		}
		if _, err := run(ctx, "ip", "link", "add", lab.ID(), "type", "bridge"); err != nil {
			return err
		}
	}
	return runAll(ctx,
		[]string{"ip", "address", "replace", fmt.Sprintf("%s/%d", lab.HostAddress(), lab.Subnet().Bits()), "dev",
			lab.ID()},
		[]string{"ip", "link", "set", lab.ID(), "up"},
	)
}

// nodeUp makes the node's network namespace anew and plugs it into the bridge. Other labs stay out of its
// reach, which the machine itself could lead to.
func nodeUp(ctx context.Context, lab layout.Lab, node layout.Node) error {
	if err := nodeDown(ctx, node); err != nil {
		return err
	}
	ns := []string{"nsenter", "--net=" + filepath.Join("/run/netns", node.ID())}
	inside := func(args ...string) []string { return append(append([]string{}, ns...), args...) }
	return runAll(ctx,
		[]string{"ip", "netns", "add", node.ID()},
		[]string{"ip", "link", "add", node.ID(), "type", "veth", "peer", "name", "eth0", "netns", node.ID()},
		[]string{"ip", "link", "set", node.ID(), "master", lab.ID(), "up"},
		inside("ip", "link", "set", "lo", "up"),
		inside("ip", "address", "add", fmt.Sprintf("%s/%d", node.Address(), lab.Subnet().Bits()), "dev", "eth0"),
		inside("ip", "link", "set", "eth0", "up"),
		inside("ip", "route", "add", "unreachable", layout.Range.String()),
	)
}

func nodeDown(ctx context.Context, node layout.Node) error {
	if err := linkDown(ctx, node.ID()); err != nil {
		return err
	}
	if exists(filepath.Join("/run/netns", node.ID())) {
		if _, err := run(ctx, "ip", "netns", "delete", node.ID()); err != nil {
			return err
		}
	}
	return nil
}

// linkDown deletes an interface, which may be gone already.
func linkDown(ctx context.Context, name string) error {
	if !exists(filepath.Join("/sys/class/net", name)) {
		return nil
	}
	_, err := run(ctx, "ip", "link", "delete", name)
	return err
}

func run(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	said := strings.TrimSpace(string(out))
	if err != nil {
		return said, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, said)
	}
	return said, nil
}

func runAll(ctx context.Context, commands ...[]string) error {
	for _, command := range commands {
		if _, err := run(ctx, command...); err != nil {
			return err
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil || !os.IsNotExist(err)
}

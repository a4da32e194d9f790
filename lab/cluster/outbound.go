package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// A node's network to the internet has addresses that RFC 2544 reserves for benchmarks, so that it hides no
// network that the machine reaches. Address 3 forwards to the machine's name server (slirp4netns(1)).
const (
	outboundName    = "slirp4netns"
	outboundNetwork = "198.18.0.0/24"
	resolver        = "198.18.0.3"
	tap             = "tap0"
)

// outbound is the node's way to the internet. slirp4netns connects tap0 through sockets of its own: the
// machine neither routes nor translates addresses for the node, and accepts no connections to it. The
// machine's loopback addresses cannot be reached that way.
func outbound(lab layout.Lab, node layout.Node) daemon {
	name := outboundName
	if !node.IsServer() {
		name = fmt.Sprintf("%s-%d", outboundName, node.Index())
	}
	d := service(lab, name, "slirp4netns", "--configure", "--mtu", "1500", "--cidr", outboundNetwork,
		"--disable-host-loopback", "--enable-sandbox", "--enable-seccomp",
		"--netns-type", "path", namespacePath(node.ID()), tap)
	d.RunDir = "" // it must see the mount of the namespace, and writes nothing
	return d
}

func startOutbound(ctx context.Context, lab layout.Lab, node layout.Node) error {
	d := outbound(lab, node)
	if _, err := d.start(ctx); err != nil {
		return err
	}
	return d.await(ctx, 30*time.Second, func() error {
		route, err := run(ctx, "ip", "-netns", node.ID(), "route", "show", "default", "dev", tap)
		if err == nil && route == "" {
			err = errors.New("there is no default route yet")
		}
		if err != nil {
			return fmt.Errorf("connecting node %s to the internet: %w", node.Name(), err)
		}
		return nil
	})
}

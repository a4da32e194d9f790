package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// The node's network to the outside has addresses that RFC 2544 keeps for benchmarks, so that no network the
// machine reaches is hidden behind it. The one at network address + 3 passes questions on to the machine's
// name server (slirp4netns(1)).
const (
	outboundName    = "slirp4netns"
	outboundNetwork = "198.18.0.0/24"
	resolver        = "198.18.0.3"
	tap             = "tap0"
)

// outbound is the node's way to the outside: slirp4netns passes on what tap0 takes through sockets of its
// own, so the machine neither routes nor translates addresses for the node, and lets nobody in. From there
// the machine's loopback addresses are not to be reached.
func outbound(lab layout.Lab, node layout.Node) daemon {
	d := service(lab, outboundName, "slirp4netns", "--configure", "--mtu", "1500", "--cidr", outboundNetwork,
		"--disable-host-loopback", "--enable-sandbox", "--enable-seccomp",
		"--netns-type", "path", filepath.Join("/run/netns", node.ID()), tap)
	d.RunDir = "" // it writes nothing, and has to see the mount that keeps the namespace
	return d
}

func outboundUp(ctx context.Context, lab layout.Lab, node layout.Node) error {
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
			return fmt.Errorf("leading node %s to the outside: %w", node.Name(), err)
		}
		return nil
	})
}

package load

import (
	"context"
	"net"
	"time"

	"github.com/stateful-k3s/stateful-k3s/internal/nsenter"
)

// dialTimeout is for addresses that no pod has any more. The kernel would try for two minutes.
const dialTimeout = 3 * time.Second

// InNamespace dials an IP address and port from inside a network namespace. It needs root.
func InNamespace(ctx context.Context, path, address string) (conn net.Conn, err error) {
	err = nsenter.Do(path, func() (err error) {
		conn, err = (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", address)
		return err
	})
	return conn, err
}

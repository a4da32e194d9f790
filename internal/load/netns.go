package load

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// dialTimeout is for addresses that nobody has any more: the kernel goes on trying for two minutes.
const dialTimeout = 3 * time.Second

// InNamespace dials an IP address and port from inside a network namespace, as a process there would. It needs root.
func InNamespace(ctx context.Context, path, address string) (net.Conn, error) {
	type dialed struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialed, 1)
	go func() {
		// The namespace is the thread's. A locked thread ends with its goroutine, so it need not go back; and the socket
		// stays where it was made.
		runtime.LockOSThread()
		namespace, err := os.Open(path)
		if err != nil {
			done <- dialed{err: fmt.Errorf("open the network namespace: %w", err)}
			return
		}
		defer namespace.Close()
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- dialed{err: fmt.Errorf("enter the network namespace %s: %w", path, err)}
			return
		}
		conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", address)
		done <- dialed{conn, err}
	}()
	d := <-done
	return d.conn, d.err
}

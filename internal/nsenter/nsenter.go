// Package nsenter runs functions inside a namespace of another process, as nsenter(1) runs programs. It needs
// root.
package nsenter

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// The first thread of a process survives a locked goroutine that ends on it, and so would stay in a foreign
// namespace. Locking the main goroutine to it keeps it from Do.
func init() { runtime.LockOSThread() }

// Do calls a function inside the namespace at a path, such as /run/netns/NAME or /proc/PID/ns/mnt. Sockets
// that it opens stay there.
func Do(path string, do func() error) error {
	done := make(chan error, 1)
	go func() {
		// The namespace belongs to the thread, which ends with its locked goroutine.
		runtime.LockOSThread()
		if err := enter(path); err != nil {
			done <- fmt.Errorf("enter the namespace %s: %w", path, err)
			return
		}
		done <- do()
	}()
	return <-done
}

func enter(path string) error {
	namespace, err := os.Open(path)
	if err != nil {
		return err
	}
	defer namespace.Close()
	// Only a thread that shares its root and working directory with no other may enter a mount namespace.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	return unix.Setns(int(namespace.Fd()), 0)
}

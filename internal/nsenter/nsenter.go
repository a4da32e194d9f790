// Package nsenter does things inside a namespace that another process has, as nsenter(1) does. It needs root.
package nsenter

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A process keeps its first thread, with whatever namespace that is in, even when a goroutine that is locked
// to it ends. So the main goroutine has it for good, and no other gets it.
func init() { runtime.LockOSThread() }

// Do calls do inside the namespace that the path names, such as /run/netns/NAME or /proc/PID/ns/mnt. Sockets
// that do opens stay there. It returns the error of do, or why the namespace cannot be entered.
func Do(path string, do func() error) error {
	done := make(chan error, 1)
	go func() {
		// The namespace is the thread's. A locked thread ends with its goroutine, so it need not go back.
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
	// A mount namespace is only open to threads that share their root and working directory with no other.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	return unix.Setns(int(namespace.Fd()), 0)
}

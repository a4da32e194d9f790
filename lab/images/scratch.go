package images

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// scratchDir makes a directory to work in and returns how to remove it. Those that killed processes have left
// behind are removed first: nobody holds their locks.
func scratchDir(parent, prefix string) (dir string, remove func(), err error) {
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", nil, err
	}
	left, err := filepath.Glob(filepath.Join(parent, prefix+"*"))
	if err != nil {
		return "", nil, err
	}
	for _, dir := range left {
		if unlock, err := lockDir(dir); err == nil {
			_ = os.RemoveAll(dir) // the next one tries again
			unlock()
		}
	}
	for {
		if dir, err = os.MkdirTemp(parent, prefix); err != nil {
			return "", nil, err
		}
		// Between these two steps another process may take it for one that was left behind.
		unlock, err := lockDir(dir)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", nil, fmt.Errorf("locking %s: %w", dir, err)
		}
		return dir, func() {
			os.RemoveAll(dir)
			unlock()
		}, nil
	}
}

// lockDir fails when a process has locked the directory.
func lockDir(dir string) (unlock func(), err error) {
	opened, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(opened.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		opened.Close()
		return nil, err
	}
	return func() { opened.Close() }, nil
}

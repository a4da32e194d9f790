// Package lock keeps commands that run at the same time from doing the same work.
package lock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
)

// Take waits until no other process holds the lock file. While it waits it shows waitsFor.
func Take(ctx context.Context, path, waitsFor string) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	// Reading is enough for a lock: the file may be root's.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		return nil, err
	}
	// A blocking flock could not be interrupted.
	for waited := false; ; waited = true {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		if !waited {
			slog.Info("waiting for " + waitsFor)
			defer progress.Start("waiting for "+waitsFor, nil)()
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Once makes the file or directory at the path of a cache, unless it exists. It calls create with a temporary
// path, which it renames, so that no process sees half of it. Other processes wait.
func Once(ctx context.Context, cache, path, waitsFor string, create func(partial string) error) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	release, err := Take(ctx, filepath.Join(cache, "locks", filepath.Base(path)), waitsFor)
	if err != nil {
		return err
	}
	defer release()
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	killed, err := filepath.Glob(path + ".partial*")
	if err != nil {
		return err
	}
	for _, partial := range killed {
		_ = os.RemoveAll(partial) // root's, perhaps: then root removes it
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	partial := fmt.Sprintf("%s.partial%d", path, os.Getpid())
	defer os.RemoveAll(partial)
	if err := create(partial); err != nil {
		return err
	}
	return os.Rename(partial, path)
}

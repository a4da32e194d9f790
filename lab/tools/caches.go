package tools

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// KeepVariable keeps the caches of the compiler, some 10 GB, when it is set to 1.
const KeepVariable = "STATEFUL_K3S_KEEP_BUILD_CACHE"

// caches are Go's, for compiling tools only. They go when the binaries are there, and stay when compiling was
// interrupted, so that it goes on from there.
type caches struct {
	dir string
	env []string
	// users is a file that everyone who compiles holds a shared lock on.
	users *os.File
}

func openCaches(ctx context.Context, cache string) (*caches, error) {
	c := &caches{dir: filepath.Join(cache, "compile")}
	if err := os.MkdirAll(filepath.Join(cache, "locks"), 0o755); err != nil {
		return nil, err
	}
	users, err := os.OpenFile(filepath.Join(cache, "locks", "compile"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	c.users = users
	if err := unix.Flock(int(users.Fd()), unix.LOCK_SH); err != nil {
		users.Close()
		return nil, fmt.Errorf("locking %s: %w", users.Name(), err)
	}
	proxy, err := proxies(ctx)
	if err != nil {
		users.Close()
		return nil, err
	}
	c.env = append(os.Environ(),
		"GOCACHE="+filepath.Join(c.dir, "build"), "GOMODCACHE="+filepath.Join(c.dir, "modules"),
		"GOFLAGS=-modcacherw", // or deleting it would take more than rm
		"GOPROXY="+proxy, "GOWORK=off",
	)
	return c, nil
}

// proxies puts what the user's own module cache has before the user's proxies.
func proxies(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMODCACHE", "GOPROXY").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for its settings: %w", err)
	}
	settings := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(settings) != 2 {
		return "", fmt.Errorf("go env GOMODCACHE GOPROXY says %q", out)
	}
	return "file://" + filepath.Join(settings[0], "cache", "download") + "," + settings[1], nil
}

// keep ends the use of the caches without deleting them.
func (c *caches) keep() { c.users.Close() }

// close deletes the caches, unless another lab or lane still uses them.
func (c *caches) close() error {
	defer c.users.Close()
	if os.Getenv(KeepVariable) == "1" {
		slog.Info("keeping the caches of the compiler", "in", c.dir, "because", KeepVariable+"=1")
		return nil
	}
	err := unix.Flock(int(c.users.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("locking %s: %w", c.users.Name(), err)
	}
	return os.RemoveAll(c.dir)
}

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
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/subprocess"
)

// KeepVariable is the environment variable that, when 1, keeps the compiler's caches (some 10 GB).
const KeepVariable = "STATEFUL_K3S_KEEP_BUILD_CACHE"

// useCaches returns the environment for compiling tools, with caches of its own. Clean leaves these alone
// until release is called.
func useCaches(ctx context.Context, cache string) (env []string, release func(), err error) {
	users, err := lockUsers(cache, unix.LOCK_SH)
	if err != nil {
		return nil, nil, err
	}
	proxy, err := proxies(ctx)
	if err != nil {
		users.Close()
		return nil, nil, err
	}
	return append(os.Environ(),
		"GOCACHE="+filepath.Join(compileDir(cache), "build"),
		"GOMODCACHE="+filepath.Join(compileDir(cache), "modules"),
		"GOFLAGS=-modcacherw", // so that rm can delete it
		"GOPROXY="+proxy, "GOWORK=off",
	), func() { users.Close() }, nil
}

// Clean deletes the compiler's caches, in the background, unless another lab compiles. Call it when no tool
// is missing: an interrupted compilation continues from the caches.
func (s Store) Clean() error {
	cache := s.Cache
	if _, err := os.Stat(compileDir(cache)); err != nil {
		return nil
	}
	if os.Getenv(KeepVariable) == "1" {
		slog.Info("keeping the caches of the compiler", "in", compileDir(cache), "because", KeepVariable+"=1")
		return nil
	}
	users, err := lockUsers(cache, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return err
	}
	defer users.Close()
	deleted := fmt.Sprintf("%s.deleted-%d", compileDir(cache), os.Getpid())
	if err := os.Rename(compileDir(cache), deleted); err != nil {
		return err
	}
	// The pattern includes what an earlier, killed deletion left.
	remove := exec.Command("sh", "-c", `exec nice -n 19 rm -rf "$1".deleted-*`, "sh", compileDir(cache))
	remove.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return remove.Start()
}

func compileDir(cache string) string { return filepath.Join(cache, "compile") }

// lockUsers locks a file until it is closed. Users of the caches share the lock.
func lockUsers(cache string, how int) (*os.File, error) {
	path := filepath.Join(cache, "locks", "compile")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	users, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(users.Fd()), how); err != nil {
		users.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return users, nil
}

// proxies returns GOPROXY: first the user's module cache, then the user's proxies.
func proxies(ctx context.Context) (string, error) {
	out, err := subprocess.Output(exec.CommandContext(ctx, "go", "env", "GOMODCACHE", "GOPROXY"))
	if err != nil {
		return "", fmt.Errorf("asking go for its settings: %w", err)
	}
	settings := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(settings) != 2 {
		return "", fmt.Errorf("go env GOMODCACHE GOPROXY says %q", out)
	}
	return "file://" + filepath.Join(settings[0], "cache", "download") + "," + settings[1], nil
}

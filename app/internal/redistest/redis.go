// Package redistest runs real Redis servers for tests.
package redistest

import (
	"os/exec"
	"testing"
)

// Command returns a command that runs a server. The program may be installed under the name of a tool, and
// does what its first argument says.
func Command(t testing.TB, arguments ...string) *exec.Cmd {
	t.Helper()
	for _, name := range []string{"redis-server", "redis-check-rdb"} {
		if path, err := exec.LookPath(name); err == nil {
			return &exec.Cmd{Path: path, Args: append([]string{"redis-server"}, arguments...)}
		}
	}
	t.Fatal("these tests need a Redis server: make test installs redis-tools on Debian and Ubuntu")
	return nil
}

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/freeport"
	"github.com/stateful-k3s/stateful-k3s/app/internal/redistest"
)

// The test binary is the app too.
func TestMain(m *testing.M) { apptest.Main(m, main) }

func TestMetricsOfRedisAndItsVolume(t *testing.T) {
	const password = `pass "word" @:/?#`
	dir, port := t.TempDir(), freeport.Find(t)
	file := filepath.Join(dir, "password")
	require.NoError(t, os.WriteFile(file, []byte(password+"\n"), 0o600))
	server := redistest.Command(t, "--port", port, "--dir", dir, "--requirepass", password,
		"--maxmemory", "32mb")
	require.NoError(t, server.Start())
	stop := func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}
	t.Cleanup(stop)

	p := apptest.Start(t, "REDIS_ADDR=localhost:"+port, "REDIS_PASSWORD_FILE="+file, "DATA_DIR="+dir)
	p.WaitForMetrics("\nredis_up 1\n", "\nredis_memory_max_bytes 3.3554432e+07\n",
		`volume_capacity_bytes{volume="data"}`, `volume_available_bytes{volume="data"}`)
	stop()
	p.WaitForMetrics("\nredis_up 0\n")
}

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/freeport"
	"github.com/stateful-k3s/stateful-k3s/app/internal/redistest"
)

// redisServer is a redis-server process with a password and an append-only file that is on the disk before it
// answers, as in the cluster.
type redisServer struct {
	t            *testing.T
	dir          string
	port         string
	passwordFile string
	client       *redis.Client
	process      *exec.Cmd
}

func newRedis(t *testing.T) *redisServer {
	dir := t.TempDir()
	r := &redisServer{t: t, dir: dir, port: freeport.Find(t), passwordFile: filepath.Join(dir, "password")}
	r.writePassword(password + "\n")
	r.client = redis.NewClient(&redis.Options{Addr: "localhost:" + r.port, Password: password, MaxRetries: -1})
	t.Cleanup(func() { r.client.Close() })
	return r
}

func (r *redisServer) start(arguments ...string) {
	r.t.Helper()
	r.process = redistest.Command(r.t, append([]string{
		"--port", r.port, "--dir", r.dir, "--requirepass", password, "--appendonly", "yes",
		"--appendfsync", "always",
	}, arguments...)...)
	require.NoError(r.t, r.process.Start())
	r.t.Cleanup(r.kill)
	require.Eventually(r.t, func() bool {
		err := r.client.Ping(context.Background()).Err()
		return err == nil || redis.IsLoadingError(err)
	}, patience, 20*time.Millisecond, "redis-server does not answer")
}

func (r *redisServer) kill() {
	_ = r.process.Process.Kill()
	_ = r.process.Wait()
}

func (r *redisServer) set(t train) {
	r.t.Helper()
	require.NoError(r.t, store{r.client}.save(r.t.Context(), t))
}

func (r *redisServer) writePassword(password string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(r.passwordFile, []byte(password), 0o600))
}

// fillerProcess is a running redisfiller.
type fillerProcess struct {
	*apptest.Process
	t *testing.T
}

func startFiller(t *testing.T, server *redisServer, settings ...string) *fillerProcess {
	t.Helper()
	settings = append([]string{"REDIS_ADDR=localhost:" + server.port, "REDIS_PASSWORD_FILE=" +
		server.passwordFile}, settings...)
	return &fillerProcess{apptest.Start(t, settings...), t}
}

// count is the number of lines that match a regular expression.
func (f *fillerProcess) count(pattern string) int {
	return len(regexp.MustCompile("(?m)^.*"+pattern).FindAllString(f.Logged(), -1))
}

func (f *fillerProcess) trains() []train {
	f.t.Helper()
	line := regexp.MustCompile(`rail=[-<>]{31} position=(\d+) direction=(left|right)`)
	var trains []train
	for _, match := range line.FindAllStringSubmatch(f.Logged(), -1) {
		parsed, err := parseTrain(match[1], match[2])
		require.NoError(f.t, err)
		trains = append(trains, parsed)
	}
	return trains
}

func (f *fillerProcess) waitFor(pattern string) {
	f.t.Helper()
	f.Eventually(func() bool { return f.count(pattern) > 0 })
}

func (f *fillerProcess) waitForTrains(n int) {
	f.t.Helper()
	f.Eventually(func() bool { return len(f.trains()) >= n })
}

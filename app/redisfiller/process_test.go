package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/freeport"
)

// redisServer is a redis-server process with a password and an append-only file that is on the disk before it answers, as in the cluster.
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
	r.process = exec.Command(serverBinary(r.t))
	r.process.Args = append([]string{
		"redis-server", "--port", r.port, "--dir", r.dir, "--requirepass", password, "--appendonly", "yes", "--appendfsync", "always",
	}, arguments...)
	require.NoError(r.t, r.process.Start())
	r.t.Cleanup(r.kill)
	require.Eventually(r.t, func() bool {
		err := r.client.Ping(context.Background()).Err()
		return err == nil || redis.IsLoadingError(err)
	}, patience, 20*time.Millisecond, "redis-server does not answer")
}

// serverBinary is the server on PATH, or the same program under the name that Debian's redis-tools gives it.
func serverBinary(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"redis-server", "redis-check-rdb"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("these tests need a Redis server: make test installs redis-tools on Debian and Ubuntu")
	return ""
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

// fillerProcess is a running redisfiller and what it has logged so far.
type fillerProcess struct {
	t       *testing.T
	port    string
	process *exec.Cmd
	logged  chan struct{} // closed at the end of the log

	mu    sync.Mutex
	lines []string
}

func startFiller(t *testing.T, server *redisServer, env ...string) *fillerProcess {
	t.Helper()
	f := &fillerProcess{t: t, port: freeport.Find(t), logged: make(chan struct{})}
	f.process = exec.Command(os.Args[0])
	f.process.Env = append(os.Environ(), "REDISFILLER_PROCESS=1", "REDIS_ADDR=localhost:"+server.port,
		"REDIS_PASSWORD_FILE="+server.passwordFile, "PORT="+f.port)
	f.process.Env = append(f.process.Env, env...)
	log, err := f.process.StdoutPipe()
	require.NoError(t, err)
	f.process.Stderr = os.Stderr
	require.NoError(t, f.process.Start())
	go func() {
		defer close(f.logged)
		for scanner := bufio.NewScanner(log); scanner.Scan(); {
			f.mu.Lock()
			f.lines = append(f.lines, scanner.Text())
			f.mu.Unlock()
		}
	}()
	t.Cleanup(func() { f.stop(syscall.SIGKILL) })
	return f
}

// stop sends a signal and waits for the end of process and log.
func (f *fillerProcess) stop(signal syscall.Signal) *os.ProcessState {
	_ = f.process.Process.Signal(signal)
	<-f.logged
	_ = f.process.Wait()
	return f.process.ProcessState
}

func (f *fillerProcess) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.lines, "\n")
}

// count is the number of lines that match a regular expression.
func (f *fillerProcess) count(pattern string) int {
	return len(regexp.MustCompile("(?m)^.*"+pattern).FindAllString(f.text(), -1))
}

func (f *fillerProcess) trains() []train {
	f.t.Helper()
	line := regexp.MustCompile(`rail=[-<>]{31} position=(\d+) direction=(left|right)`)
	var trains []train
	for _, match := range line.FindAllStringSubmatch(f.text(), -1) {
		parsed, err := parseTrain(match[1], match[2])
		require.NoError(f.t, err)
		trains = append(trains, parsed)
	}
	return trains
}

func (f *fillerProcess) waitFor(pattern string) {
	f.t.Helper()
	f.eventually(func() bool { return f.count(pattern) > 0 }, "no line matches "+pattern)
}

func (f *fillerProcess) waitForTrains(n int) {
	f.t.Helper()
	f.eventually(func() bool { return len(f.trains()) >= n }, fmt.Sprintf("fewer than %d trains", n))
}

// waitUntilReady waits for a status of GET /readyz, with GET /livez answering 200 all the while.
func (f *fillerProcess) waitUntilReady(status int) {
	f.t.Helper()
	f.eventually(func() bool { return f.get("/readyz") == status }, fmt.Sprintf("/readyz does not answer %d", status))
	assert.Equal(f.t, http.StatusOK, f.get("/livez"))
}

// get is the status of a GET, or 0 if nothing answers.
func (f *fillerProcess) get(path string) int {
	response, err := http.Get("http://localhost:" + f.port + path)
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

func (f *fillerProcess) eventually(condition func() bool, message string) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			require.FailNow(f.t, message, f.text())
		}
	}
}

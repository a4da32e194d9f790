package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/freeport"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

const patience = time.Minute

// The test binary is the app too, when it is told so.
func TestMain(m *testing.M) {
	if os.Getenv("PINGPONG_PROCESS") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is a running pingpong.
type process struct {
	t                 *testing.T
	port, metricsPort string
	cmd               *exec.Cmd
	ended             chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// startProcess starts pingpong with a variable that says where the database is.
func startProcess(t *testing.T, database string) *process {
	t.Helper()
	p := &process{t: t, port: freeport.Find(t), metricsPort: freeport.Find(t), ended: make(chan struct{})}
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), "PINGPONG_PROCESS=1", database, "PORT="+p.port, "METRICS_PORT="+p.metricsPort)
	p.cmd.Stdout, p.cmd.Stderr = p, os.Stderr
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() { p.stop(syscall.SIGKILL) })
	return p
}

// Write collects the log.
func (p *process) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(line)
}

func (p *process) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// stop sends a signal and waits for the end.
func (p *process) stop(signal syscall.Signal) *os.ProcessState {
	_ = p.cmd.Process.Signal(signal)
	<-p.ended
	return p.cmd.ProcessState
}

func (p *process) dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("localhost", p.port))
}

func (p *process) client() *load.Client {
	c := &load.Client{Dial: p.dial}
	p.t.Cleanup(c.Close)
	return c
}

// get is the status and body of a GET, or 0 if nothing answers.
func (p *process) get(path string) (int, string) {
	c := load.Client{Dial: p.dial}
	defer c.Close()
	status, body, err := c.Get(p.t.Context(), path)
	if err != nil {
		return 0, err.Error()
	}
	return status, string(body)
}

// waitUntilReady waits for a status of GET /readyz, with GET /livez answering 200 all the while.
func (p *process) waitUntilReady(status int) {
	p.t.Helper()
	p.eventually(func() bool {
		ready, _ := p.get("/readyz")
		return ready == status
	})
	live, _ := p.get("/livez")
	assert.Equal(p.t, http.StatusOK, live)
}

func (p *process) ping() int64 {
	p.t.Helper()
	status, body := p.get("/pingpong")
	require.Equal(p.t, http.StatusOK, status, body)
	return number(p.t, body)
}

func (p *process) eventually(condition func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			require.FailNow(p.t, "it did not come to that", p.logged())
		}
	}
}

// number is N of "pong N".
func number(t *testing.T, body string) int64 {
	t.Helper()
	text, ok := strings.CutPrefix(body, "pong ")
	require.True(t, ok, body)
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err)
	return n
}

// pings is the count so far.
func (p *process) pings() int64 {
	p.t.Helper()
	status, body := p.get("/pings")
	require.Equal(p.t, http.StatusOK, status, body)
	return count(p.t, body)
}

// count is N of {"pings": N}.
func count(t *testing.T, body string) int64 {
	t.Helper()
	var answer struct{ Pings *int64 }
	require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
	require.NotNil(t, answer.Pings, body)
	return *answer.Pings
}

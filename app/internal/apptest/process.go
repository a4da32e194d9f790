// Package apptest runs an app as a process in its tests.
package apptest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/freeport"
	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

const (
	// patience is how long tests wait before they fail.
	patience = 5 * time.Minute
	isApp    = "APPTEST_PROCESS"
)

// Main is for TestMain. It runs the tests, or the app in the processes that the tests start.
func Main(m *testing.M, app func()) {
	if os.Getenv(isApp) != "" {
		app()
		return
	}
	os.Exit(m.Run())
}

// Process is a running app, or one that has ended.
type Process struct {
	Port, MetricsPort string

	t     testing.TB
	cmd   *exec.Cmd
	ended chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// Start starts the app with settings, NAME=value each. It is killed when the test ends.
func Start(t testing.TB, settings ...string) *Process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = os.Environ()
	return StartCommand(t, cmd, settings...)
}

// StartIn starts the app in the tree with arguments. Its environment is the image's and the settings.
func StartIn(t testing.TB, tree *imagetest.Tree, args []string, settings ...string) *Process {
	t.Helper()
	return StartCommand(t, tree.Command(tree.Copy(os.Args[0]), args...), settings...)
}

// StartCommand starts any command as an app.
func StartCommand(t testing.TB, cmd *exec.Cmd, settings ...string) *Process {
	t.Helper()
	p := &Process{t: t, Port: freeport.Find(t), MetricsPort: freeport.Find(t), cmd: cmd,
		ended: make(chan struct{})}
	p.cmd.Env = append(p.cmd.Env, isApp+"=1", "PORT="+p.Port, "METRICS_PORT="+p.MetricsPort)
	p.cmd.Env = append(p.cmd.Env, settings...)
	p.cmd.Stdout, p.cmd.Stderr = p, os.Stderr
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() { p.Stop(syscall.SIGKILL) })
	return p
}

// Write collects the log.
func (p *Process) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(line)
}

// Logged returns the log so far.
func (p *Process) Logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// Stop sends a signal and waits for the end.
func (p *Process) Stop(signal syscall.Signal) *os.ProcessState {
	_ = p.cmd.Process.Signal(signal)
	<-p.ended
	return p.cmd.ProcessState
}

// Wait waits until the app ends by itself.
func (p *Process) Wait() *os.ProcessState {
	p.t.Helper()
	return p.WaitFor(patience)
}

// WaitFor is Wait with another time limit.
func (p *Process) WaitFor(limit time.Duration) *os.ProcessState {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(limit):
		require.FailNow(p.t, "the app does not end", p.Logged())
	}
	return p.cmd.ProcessState
}

// URL returns the URL of a path.
func (p *Process) URL(path string) string { return "http://localhost:" + p.Port + path }

// Dial connects to the app.
func (p *Process) Dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("localhost", p.Port))
}

// Client returns a client that is closed when the test ends.
func (p *Process) Client() *load.Client {
	c := &load.Client{Dial: p.Dial}
	p.t.Cleanup(c.Close)
	return c
}

// Get returns status and body of a GET, or 0 and the error if there is no answer.
func (p *Process) Get(path string) (int, string) {
	c := load.Client{Dial: p.Dial}
	defer c.Close()
	status, body, err := c.Get(p.t.Context(), path)
	if err != nil {
		return 0, err.Error()
	}
	return status, string(body)
}

// WaitUntilReady waits until GET /readyz answers with a status. GET /livez must answer 200.
func (p *Process) WaitUntilReady(status int) {
	p.t.Helper()
	p.Eventually(func() bool {
		ready, _ := p.Get("/readyz")
		return ready == status
	})
	live, _ := p.Get("/livez")
	assert.Equal(p.t, http.StatusOK, live)
}

// Eventually waits for a condition. If it does not become true, the test fails and shows the log.
func (p *Process) Eventually(condition func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			require.FailNow(p.t, "the condition is still false", p.Logged())
		}
	}
}

// Metrics returns what GET /metrics answers, or "" if there is no answer.
func (p *Process) Metrics() string {
	answer, err := http.Get("http://localhost:" + p.MetricsPort + "/metrics")
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(p.t, err)
	return string(text)
}

// WaitForMetrics waits until all lines are among the metrics.
func (p *Process) WaitForMetrics(lines ...string) {
	p.t.Helper()
	p.Eventually(func() bool {
		metrics := p.Metrics()
		return !slices.ContainsFunc(lines, func(line string) bool { return !strings.Contains(metrics, line) })
	})
}

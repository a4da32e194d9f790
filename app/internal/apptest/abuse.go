package apptest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/internal/abuse"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// maxFiles is how many files an app may have open for each of its servers.
const maxFiles = 1000

// abuseTime is how long each abuse goes on after it has begun, if honest clients get their answers in time.
func abuseTime(t *testing.T) time.Duration {
	t.Helper()
	wanted, err := time.ParseDuration(cmp.Or(os.Getenv("ABUSE_TIME"), "300ms"))
	require.NoError(t, err)
	return wanted
}

// Limit is a setting that has an app keep within a pod's memory, in MiB, as it does by itself in a pod.
func Limit(memory int) string { return fmt.Sprintf("GOMEMLIMIT=%dMiB", memory*9/10) }

// Withstands abuses all servers of the app in every way, one after the other. Meanwhile honest clients get
// every answer, and the app stays within its memory, in MiB.
func (p *Process) Withstands(t *testing.T, memory int, servers ...abuse.Target) {
	t.Helper()
	for _, server := range servers {
		honest := server.Honest()
		p.await(t, honest, answers(t, server))
		logFigures(t, server, "quiet", honest.Stop())
	}
	for _, way := range abuse.All {
		t.Run(way.Name, func(t *testing.T) {
			var all sync.WaitGroup
			for _, server := range servers {
				all.Go(func() { p.withstandsOne(t, memory, way, server) })
			}
			all.Wait()
			files, err := os.ReadDir(p.proc("fd"))
			require.NoError(t, err)
			assert.Less(t, len(files), maxFiles*len(servers))
		})
	}
}

func (p *Process) withstandsOne(t *testing.T, memory int, way abuse.Abuse, server abuse.Target) {
	t.Helper()
	honest := server.Honest()
	stop := way.Begin(server)
	most := p.await(t, honest, honest.Answered()+answers(t, server))
	account := honest.Stop()
	stop()
	assert.NoError(t, account.Check(), server.Name)
	assert.LessOrEqual(t, most, memory<<20, "bytes of memory")
	logFigures(t, server, way.Name, account)
	t.Log(most>>20, "MiB")
}

// answers is how many an honest client gets in the time of an abuse.
func answers(t *testing.T, server abuse.Target) int {
	t.Helper()
	return max(1, int(abuseTime(t).Seconds()*float64(server.PerSecond)))
}

// await waits for so many answers, and returns what the app had of memory meanwhile.
func (p *Process) await(t *testing.T, honest *load.Steady, answers int) (most int) {
	t.Helper()
	for deadline := time.Now().Add(patience); honest.Answered() < answers; time.Sleep(10 * time.Millisecond) {
		most = max(most, p.memory(t))
		if !assert.True(t, time.Now().Before(deadline), "it does not answer") {
			break
		}
	}
	return most
}

// logFigures writes what the measurements read.
func logFigures(t *testing.T, server abuse.Target, way string, account load.SteadyAccount) {
	t.Helper()
	t.Logf("abuse of %s: %s: %d sent, %d answered, p99 %s", server.Name, way, account.Sent,
		len(account.Latencies), account.P99())
}

// Metrics is the server of an app's metrics.
func (p *Process) Metrics() abuse.Target {
	return abuse.Target{
		Name: "metrics", PerSecond: 10,
		Dial: func(ctx context.Context) (net.Conn, error) { return dial(ctx, p.MetricsPort) },
		Get:  "/metrics", Large: "/metrics", Post: "/metrics",
		Check: Answers(`(?m)^go_goroutines \d+$`),
	}
}

// Answers checks for a status of 200 and a body in which the expression is found.
func Answers(expression string) func(status int, body string) error {
	expected := regexp.MustCompile(expression)
	return func(status int, body string) error {
		switch {
		case status != http.StatusOK:
			return errors.New(body)
		case !expected.MatchString(body):
			return fmt.Errorf("%q does not match %q", body, expression)
		}
		return nil
	}
}

// memory is what the app has of it for itself, in bytes.
func (p *Process) memory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(p.proc("status"))
	require.NoError(t, err)
	_, after, found := strings.Cut(string(status), "RssAnon:")
	require.True(t, found)
	kilobytes, err := strconv.Atoi(strings.Fields(after)[0])
	require.NoError(t, err)
	return kilobytes << 10
}

func (p *Process) proc(file string) string {
	return fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, file)
}

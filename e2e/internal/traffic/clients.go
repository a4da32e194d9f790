package traffic

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/rounds"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

const (
	// clients work at the same time.
	clients = 8
	// enough acknowledged requests show that an app keeps working.
	enough = 200
)

// rate is how many requests the clients of an app send in a second: enough for some to be under way whenever
// something is killed, and few enough to leave the processors to the test. LOAD changes it; 0 sets no limit.
func rate(t *testing.T) int { return int(rounds.Number(t, "LOAD", 200)) }

// waitUntilGoingOn waits until enough requests are acknowledged from now on.
func waitUntilGoingOn(t *testing.T, acknowledged func() int) {
	since := acknowledged()
	wait.Until(t, func() error {
		if n := acknowledged() - since; n < enough {
			return fmt.Errorf("%d requests were acknowledged", n)
		}
		return nil
	})
}

// waitForMetric waits until each pod of an app has a metric.
func waitForMetric(c *kube.Cluster, app, name string) {
	wait.Until(c.T, func() error {
		for _, pod := range c.Pods("app=" + app) { // an update may replace them meanwhile
			metrics, err := c.Metrics(pod.Name, "9090")
			if err == nil && !strings.Contains(metrics, name) {
				err = fmt.Errorf("pod %s has no %s", pod.Name, name)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Pings is clients that ping all the time.
type Pings struct {
	*load.Pings
	// Before is the count when they started.
	Before int64
	site   Site
}

// StartPings returns when every replica of pingpong counts.
func StartPings(c *kube.Cluster) *Pings {
	p := &Pings{site: Pingpong(c)}
	p.Before = p.site.Pings()
	p.Pings = load.StartPings(clients, rate(c.T), p.site.Dial)
	c.T.Cleanup(func() { p.Stop() })
	p.WaitUntilGoingOn()
	waitForMetric(c, "pingpong", `http_request_duration_seconds_count{route="GET /pingpong",status="200"}`)
	return p
}

// WaitUntilGoingOn waits until numbers are handed out from now on.
func (p *Pings) WaitUntilGoingOn() { waitUntilGoingOn(p.site.T, p.Acknowledged) }

// WaitUntilStopped waits until no number is handed out any more: each client is refused, more than once.
func (p *Pings) WaitUntilStopped() {
	acknowledged, failed := p.Acknowledged(), p.Failed()
	wait.Until(p.site.T, func() error {
		if now := p.Acknowledged(); now != acknowledged {
			acknowledged, failed = now, p.Failed()
			return errors.New("numbers are still handed out")
		}
		if n := p.Failed() - failed; n < 2*clients {
			return fmt.Errorf("only %d requests were refused", n)
		}
		return nil
	})
}

// End stops the clients and returns their account, checked against the count.
func (p *Pings) End() load.PingAccount {
	account, after := p.Stop(), p.site.Pings()
	p.site.T.Logf("%s; counted from %d to %d", account, p.Before, after)
	require.NoError(p.site.T, account.Check(p.Before, after))
	return account
}

// Todos is clients that add todos all the time.
type Todos struct {
	*load.Todos
	// Prefix starts the titles.
	Prefix string
	site   Site
}

// StartTodos returns when every replica of todo-backend adds todos. They are deleted when the test ends.
func StartTodos(c *kube.Cluster) *Todos {
	a := AddTodos(c)
	c.T.Cleanup(func() {
		a.Stop()
		postgres.Query(c, "DELETE FROM todo WHERE title LIKE '"+a.Prefix+"%'")
	})
	waitForMetric(c, "todo-backend", `http_request_duration_seconds_count{route="POST /todos",status="201"}`)
	return a
}

// AddTodos returns when todos are added. They stay.
func AddTodos(c *kube.Cluster) *Todos {
	a := &Todos{Prefix: fmt.Sprintf("load%x", rand.Uint64()), site: Backend(c)}
	a.Todos = load.StartTodos(clients, rate(c.T), a.Prefix, a.site.Dial)
	c.T.Cleanup(func() { a.Stop() })
	a.WaitUntilGoingOn()
	return a
}

// WaitUntilGoingOn waits until todos are added from now on.
func (a *Todos) WaitUntilGoingOn() { waitUntilGoingOn(a.site.T, a.Acknowledged) }

// End stops the clients and returns their account, checked against the backend's todos.
func (a *Todos) End() load.TodoAccount {
	account := a.Stop()
	a.site.T.Log(account)
	require.NoError(a.site.T, account.Check(a.site.TodosWith(a.Prefix)))
	return account
}

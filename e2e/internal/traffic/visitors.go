package traffic

import (
	"strings"
	"testing"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// Visitors ping and add todos all the time.
type Visitors struct {
	t     *testing.T
	pings *load.Pings
	todos *load.Todos
}

// Visit starts visitors of a site. The titles of their todos start with a prefix.
func (s Site) Visit(prefix string) Visitors {
	const each = 2
	v := Visitors{s.T, load.StartPings(each, rate(s.T), s.Dial),
		load.StartTodos(each, rate(s.T), prefix, s.Dial)}
	s.T.Cleanup(func() { v.Stop() })
	return v
}

// WaitUntilGoingOn waits until requests are acknowledged from now on.
func (v Visitors) WaitUntilGoingOn() {
	waitUntilGoingOn(v.t, v.pings.Acknowledged)
	waitUntilGoingOn(v.t, v.todos.Acknowledged)
}

// Stop returns the visitors' accounts.
func (v Visitors) Stop() (load.PingAccount, load.TodoAccount) { return v.pings.Stop(), v.todos.Stop() }

// WithoutIngress counts what Traefik answers by itself as failed requests instead of wrong answers. While its
// only node restarts, Traefik runs before it knows its routes (404, which no app has seen) and before the
// apps have started again (502, which an app may have seen). Visitors wait for a single node in any case, and
// what they were told was saved is checked all the same. The apps' own 404 and 502 are
// application/problem+json.
func WithoutIngress(o load.Outcomes) load.Outcomes {
	answers := o.Faults
	o.Faults = nil
	for _, answer := range answers {
		switch strings.TrimSpace(answer) {
		case "status 404: 404 page not found":
			o.Refused++
		case "status 502: Bad Gateway":
			o.Unanswered++
		default:
			o.Faults = append(o.Faults, answer)
		}
	}
	return o
}

package e2e

import (
	"context"
	"encoding/json"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// home is a checkout with a lab of its own, and all that somebody has who works in there.
type home struct {
	t        *testing.T
	dir, lab string
}

func (h home) make(target string) {
	h.t.Helper()
	run(h.t, makeCommand(h.dir, target, h.lab))
}

// shell runs a command in a shell of the lab, and returns what it says.
func (h home) shell(script string, args ...string) string {
	h.t.Helper()
	return run(h.t, command(h.dir, "sh",
		append([]string{"-ec", ". .lab/" + h.lab + "/env; " + script, "sh"}, args...)...))
}

// set makes settings, some of them secret.
func (h home) set(settings, secrets map[string]string) {
	h.t.Helper()
	for key, value := range settings {
		h.shell(`pulumi config set -- "$@"`, key, value)
	}
	for key, value := range secrets {
		h.shell(`pulumi config set --secret -- "$@"`, key, value)
	}
}

// machine is the address at which the lab's pods find this machine.
func (h home) machine() string {
	h.t.Helper()
	host, _, err := net.SplitHostPort(h.shell(`printf %s "$STATEFUL_K3S_REGISTRY"`))
	require.NoError(h.t, err)
	return host
}

// site is where people find the stack's apps.
func (h home) site() site {
	h.t.Helper()
	var address string
	require.NoError(h.t, json.Unmarshal([]byte(h.shell("pulumi stack output todoUrl --json")), &address))
	parsed, err := url.Parse(address)
	require.NoError(h.t, err)
	return site{h.t, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(parsed.Host, "80"))
	}}
}

// visitors ping and add todos all the time.
type visitors struct {
	t     *testing.T
	pings *load.Pings
	todos *load.Todos
}

// use has visitors use the stack. The titles of their todos begin with a prefix.
func (h home) use(prefix string) visitors {
	h.t.Helper()
	const each = 2
	dial := h.site().dial
	v := visitors{h.t, load.StartPings(each, perSecond(h.t), dial),
		load.StartTodos(each, perSecond(h.t), prefix, dial)}
	h.t.Cleanup(func() { v.stop() })
	return v
}

// goOn returns when a number of requests was acknowledged from now on.
func (v visitors) goOn() {
	v.t.Helper()
	goesOn(v.t, v.pings.Acknowledged)
	goesOn(v.t, v.todos.Acknowledged)
}

func (v visitors) stop() (load.PingAccount, load.TodoAccount) { return v.pings.Stop(), v.todos.Stop() }

// withoutIngress counts what Traefik answers by itself as failed requests instead of wrong answers. While its
// only node restarts, Traefik runs before it knows its routes (404, which no app has seen) and before the apps
// have started again (502, which an app may have seen). Visitors wait for a single node in any case, and what
// they were told was saved is checked all the same. The apps' own 404 and 502 are application/problem+json.
func withoutIngress(o load.Outcomes) load.Outcomes {
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

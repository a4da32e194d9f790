package e2e

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// TestOnlyDocumentedConnectionsWork tries all: from every pod, stranger and another machine, to every port
// that anything listens on.
func TestOnlyDocumentedConnectionsWork(t *testing.T) {
	c := newCluster(t)
	tables := c.documented()
	c.plugOutsiderIn()
	c.standIns(tables)
	pods := c.running()
	origins, targets := c.origins(pods), c.targets(pods)

	var control, pairs []pair
	node := origin{name: "the node", network: nodeNetwork()}
	tried := make([]bool, len(tables["By default"]))
	for _, to := range targets {
		control = append(control, pair{from: node, to: to, wanted: true})
		for _, from := range origins {
			if !from.isOurs() && to.name == "service kubernetes" {
				control = append(control, pair{from: from, to: to, wanted: true})
			}
			if !to.isTried(from) {
				continue
			}
			p := pair{from: from, to: to}
			for i, connection := range tables["By default"] {
				if to.isFor(from, connection) {
					p.wanted, tried[i] = true, true
				}
			}
			pairs = append(pairs, p)
		}
	}
	for i, connection := range tables["By default"] {
		assert.True(t, tried[i], "nothing tried %s -> %s", connection.From, connection.To)
	}
	require.NoError(t, c.attempts(control))
	for _, p := range control {
		assert.NoError(t, p.err, "%s: else a refusal shows nothing", p)
	}

	c.waitForPolicies(origins)
	require.NoError(t, c.attempts(pairs))
	allowed, refused := 0, 0
	for _, p := range pairs {
		switch {
		case p.wanted && p.err != nil:
			refused++
			t.Errorf("wrongly refused: %s: %v", p, p.err)
		case !p.wanted && p.err == nil:
			allowed++
			t.Errorf("wrongly allowed: %s", p)
		}
	}
	t.Logf("%d pairs of %d origins and %d targets: %d wrongly allowed, %d wrongly refused", len(pairs),
		len(origins), len(targets), allowed, refused)
}

// waitForPolicies waits until no pod of the stack's namespaces reaches the API server, as each new one does
// until its policies are there. After half a minute it goes on, and the test finds who still does.
func (c *cluster) waitForPolicies(origins []origin) {
	service := target{protocol: corev1.ProtocolTCP, address: netip.MustParseAddrPort("10.43.0.1:443")}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(poll) {
		open := func(from origin) bool { return from.isOurs() && service.dial(c.t.Context(), from) == nil }
		if !slices.ContainsFunc(origins, open) {
			return
		}
	}
}

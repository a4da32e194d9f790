package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestServiceResolvesToBothPods(t *testing.T) {
	c := newLane(t, exercises)
	assert.ElementsMatch(t, c.podIPs(), c.resolve("redis-svc"))
}

func TestPodsNameResolvesToItAlone(t *testing.T) {
	c := newLane(t, exercises)
	assert.Equal(t, c.podIPs()[:1], c.resolve("redis-stset-0.redis-svc"))
}

// resolve returns the addresses that a pod gets for a name. Answers are cached for 5 seconds by the cluster's
// DNS.
func (c *cluster) resolve(name string) []string {
	c.t.Helper()
	output, status := c.visit(nil, "sleep 6; for try in $(seq 30); do getent ahostsv4 "+name+
		" && exit; sleep 1; done; exit 1")
	assert.Equal(c.t, int32(0), status, "%s does not resolve: %s", name, output)
	var addresses []string
	for line := range strings.Lines(output) {
		address, _, _ := strings.Cut(line, " ")
		addresses = append(addresses, address)
	}
	slices.Sort(addresses)
	return slices.Compact(addresses)
}

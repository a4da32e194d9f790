package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
)

// testTheStackComesBack destroys the stack, whose servers then have stopped, and brings it up again.
func testTheStackComesBack(t *testing.T, m manyNodes) {
	m.underLoad(func(*traffic.Pings) {
		claims := claimsOf(m.Cluster)
		m.Make("destroy")
		assert.Empty(t, m.Pods(servers))
		assert.Equal(t, claims, claimsOf(m.Cluster))
		m.Make("up")
		assert.Equal(t, claims, claimsOf(m.Cluster))
	})
}

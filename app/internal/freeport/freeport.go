// Package freeport finds ports for the servers that tests start.
package freeport

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// The ports are below Linux's range for outgoing connections, which could take one before the server does.
const first, count = 10_000, 20_000

// Find returns a free TCP port of localhost. No other test gets it until this one ends.
func Find(t testing.TB) string {
	t.Helper()
	for range count {
		port := strconv.Itoa(first + rand.IntN(count))
		// The UDP port of the same number reserves it until the server listens.
		reservation, err := net.ListenPacket("udp", "localhost:"+port)
		if err != nil {
			continue
		}
		if listener, err := net.Listen("tcp", "localhost:"+port); err == nil {
			require.NoError(t, listener.Close())
			t.Cleanup(func() { require.NoError(t, reservation.Close()) })
			return port
		}
		require.NoError(t, reservation.Close())
	}
	require.FailNow(t, "every port is taken")
	return ""
}

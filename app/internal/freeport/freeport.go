// Package freeport finds ports for the servers that tests start.
package freeport

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Ports from first on are below those that Linux gives to connections, which might take one before the server
// does.
const first, count = 10_000, 20_000

// Find returns a TCP port of localhost on which nobody listens at the moment, and which no other test gets
// until this one ends.
func Find(t testing.TB) string {
	t.Helper()
	for range count {
		port := strconv.Itoa(first + rand.IntN(count))
		// The UDP port of the same number stands for it while its server is not yet there.
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

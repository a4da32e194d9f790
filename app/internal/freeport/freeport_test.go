package freeport

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNoTwoTestsGetThePort(t *testing.T) {
	var port string
	t.Run("while the first one goes on", func(t *testing.T) {
		port = Find(t)
		_, err := net.ListenPacket("udp", "localhost:"+port)
		require.Error(t, err)
		server, err := net.Listen("tcp", "localhost:"+port)
		require.NoError(t, err)
		require.NoError(t, server.Close())
	})
	reservation, err := net.ListenPacket("udp", "localhost:"+port)
	require.NoError(t, err, "it has ended")
	require.NoError(t, reservation.Close())
}

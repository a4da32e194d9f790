package cluster

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPortOfAnotherProgramIsNamed(t *testing.T) {
	other, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(other.Addr().String())
	require.NoError(t, err)
	assert.ErrorContains(t, checkPort("127.0.0.1:"+port), "another program listens on port "+port+
		" of all addresses: stop it")
	require.NoError(t, other.Close())
	assert.NoError(t, checkPort("127.0.0.1:"+port))
}

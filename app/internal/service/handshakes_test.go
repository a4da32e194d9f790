package service

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/certificatetest"
)

func inTLSNetwork(t *testing.T, test func(n *network)) {
	t.Helper()
	certificate, key := certificatetest.New(t, "app")
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	require.NoError(t, err)
	inNetworkOf(t, newTLSServer(pair, http.HandlerFunc(hello)), 1, test)
}

// shake begins a handshake of at most that version of TLS, whose end it returns.
func shake(conn net.Conn, version uint16) (ended chan error) {
	ended = make(chan error, 1)
	go func() {
		ended <- tls.Client(conn, &tls.Config{MaxVersion: version, InsecureSkipVerify: true}).Handshake()
	}()
	synctest.Wait()
	return ended
}

func TestHandshakesWaitForAPlace(t *testing.T) {
	inTLSNetwork(t, func(n *network) {
		for range maxHandshakes {
			n.limiter.handshakes <- struct{}{}
		}
		first, second := shake(n.dial(), tls.VersionTLS13), shake(n.dial(), tls.VersionTLS13)
		assert.Empty(t, first)
		assert.Empty(t, second)
		<-n.limiter.handshakes // for one after the other
		assert.NoError(t, <-first)
		assert.NoError(t, <-second)
		assert.Len(t, n.limiter.handshakes, maxHandshakes-1)
	})
}

// leaving is a client's end that it closes when it would have to listen.
type leaving struct{ net.Conn }

func (l leaving) Read([]byte) (int, error) {
	_ = l.Close()
	return 0, io.EOF
}

func TestNobodyKeepsThePlaceOfAHandshake(t *testing.T) {
	inTLSNetwork(t, func(n *network) {
		_, closes := n.dial().closes(2 * headerTimeout) // says nothing
		assert.True(t, closes)
		assert.Error(t, <-shake(leaving{n.dial()}, tls.VersionTLS13))
		assert.Error(t, <-shake(n.dial(), tls.VersionTLS11))
		assert.NoError(t, <-shake(n.dial(), tls.VersionTLS12))
		synctest.Wait()
		assert.Empty(t, n.limiter.handshakes)
	})
}

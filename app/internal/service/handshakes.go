package service

import (
	"crypto/tls"
	"runtime"
)

// maxHandshakes is how many handshakes of TLS a server computes at the same time, on half of the processors.
// Those of a crowd would else come before every step of the requests that have a connection.
var maxHandshakes = max(1, runtime.GOMAXPROCS(0)/2)

// beginHandshake waits for a place when all has come that the server needs of its client, so that no client
// can keep one.
func beginHandshake(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	c := hello.Conn.(*connection)
	c.limiter.handshakes <- struct{}{}
	c.shaking.Store(true)
	return nil, nil // as all others
}

// endHandshake is for the first that the server says, or for its end.
func (c *connection) endHandshake() {
	if c.shaking.CompareAndSwap(true, false) {
		<-c.limiter.handshakes
	}
}

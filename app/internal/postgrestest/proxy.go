package postgrestest

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Proxy forwards connections of an app to a server, and cuts them.
type Proxy struct {
	t        testing.TB
	listener net.Listener
	server   string

	mu    sync.Mutex
	away  bool
	conns map[net.Conn]bool
	fault *Fault
}

// Fault strikes the next message from the app that contains Match.
type Fault struct {
	Match string
	// Struck is closed when it has happened.
	Struck chan struct{}
	// deliver says whether the message reaches the server. If held is not nil, it does so once that is closed.
	deliver        bool
	held, answered chan struct{}
}

// NewProxy listens until the test ends.
func NewProxy(t testing.TB, server *Server) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	p := &Proxy{t: t, listener: listener, server: server.Addr(), conns: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	serving.Go(p.serve)
	t.Cleanup(func() {
		listener.Close()
		p.Away(true)
		serving.Wait()
	})
	return p
}

// Addr is the proxy's host and port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Away cuts all connections and refuses new ones, until it is called with false.
func (p *Proxy) Away(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
	if away {
		p.cutAll()
	}
}

// Cut cuts all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutAll()
}

func (p *Proxy) cutAll() {
	for conn := range p.conns {
		conn.Close()
	}
}

// LoseAnswer delivers the next matching message, and cuts the connection when the server has answered.
func (p *Proxy) LoseAnswer(match string) *Fault {
	return p.arm(&Fault{Match: match, deliver: true})
}

// LoseRequest cuts the connection at the next matching message, which the server never sees.
func (p *Proxy) LoseRequest(match string) *Fault {
	return p.arm(&Fault{Match: match})
}

// HoldRequest cuts the app's side of the connection at the next matching message. The server gets the message
// on Release.
func (p *Proxy) HoldRequest(match string) *Fault {
	return p.arm(&Fault{Match: match, deliver: true, held: make(chan struct{})})
}

// Release delivers a held message, and returns when the server has answered it.
func (f *Fault) Release() {
	close(f.held)
	<-f.answered
}

func (p *Proxy) arm(fault *Fault) *Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	fault.Struck, fault.answered = make(chan struct{}), make(chan struct{})
	p.fault = fault
	return fault
}

func (p *Proxy) strike(message []byte) *Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault == nil || !bytes.Contains(message, []byte(p.fault.Match)) {
		return nil
	}
	fault := p.fault
	p.fault = nil
	return fault
}

func (p *Proxy) serve() {
	var pairs sync.WaitGroup
	defer pairs.Wait()
	for {
		app, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		p.mu.Lock()
		if err != nil || p.away {
			app.Close()
			if err == nil {
				server.Close()
			}
			p.mu.Unlock()
			continue
		}
		p.conns[app], p.conns[server] = true, true
		p.mu.Unlock()
		pairs.Go(func() {
			p.forward(app, server)
			p.mu.Lock()
			delete(p.conns, app)
			delete(p.conns, server)
			p.mu.Unlock()
		})
	}
}

// forward copies in both directions until one side ends or a fault strikes.
func (p *Proxy) forward(app, server net.Conn) {
	var struck atomic.Bool // the next answer is lost
	answers := make(chan struct{})
	go func() {
		defer close(answers)
		defer app.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil || struck.Load() {
				return
			}
			if _, err := app.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	defer func() {
		app.Close()
		server.Close()
		<-answers
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := app.Read(buffer)
		if err != nil {
			return
		}
		fault := p.strike(buffer[:n])
		if fault != nil {
			if !fault.deliver {
				close(fault.Struck)
				return
			}
			struck.Store(true)
			if fault.held != nil {
				app.Close()
				close(fault.Struck)
				<-fault.held
			}
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
		if fault != nil {
			<-answers
			close(fault.answered)
			if fault.held == nil {
				close(fault.Struck)
			}
			return
		}
	}
}

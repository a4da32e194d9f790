// Package abuse does to a server what strangers may do: with many connections at once, slowly, too much, and
// against the rules.
package abuse

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// Target is a server of HTTP.
type Target struct {
	Name string
	// PerSecond is how many requests an honest client sends.
	PerSecond int
	Dial      load.Dial
	// TLS is what clients of HTTPS know; nil for plain HTTP.
	TLS *tls.Config
	// Get is a path that is answered, Large the one with the largest answer, and Post one that takes bodies.
	Get, Large, Post string
	// Check returns what is wrong with an answer to Get.
	Check func(status int, body string) error
}

// Honest starts a client that does nothing wrong.
func (t Target) Honest() *load.Steady {
	url := "http://localhost" + t.Get
	if t.TLS != nil {
		url = "https://localhost" + t.Get
	}
	transport := &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return t.Dial(ctx) },
		TLSClientConfig: t.TLS,
	}
	return load.StartSteady(t.PerSecond, transport, url, t.Check)
}

// Abuse is one way to abuse a server.
type Abuse struct {
	Name string
	// strangers do the same at the same time, each again and again until the end.
	strangers int
	once      func(s *stranger)
}

// All are the ways there are.
var All = []Abuse{
	{"slow headers", 1000, slowHeader},
	{"slow bodies", 1000, slowBody},
	{"slow readers", 500, slowReader},
	{"silent connections", 5000, silence},
	{"idle connections", 5000, idleness},
	{"huge headers", len(hugeHeaders), hugeHeader},
	{"huge bodies", len(hugeBodies), hugeBody},
	{"wrong lengths", len(wrongLengths), wrongLength},
	{"odd paths", len(oddPaths), oddPath},
	{"odd hosts", len(oddHosts), oddHost},
	{"malformed requests", len(malformed), malformedRequest},
	{"resets", 8, reset},
	{"pipelined requests", 1, pipeline},
	{"requests without a pause", 1, flood},
}

// Begin begins the abuse and returns when every stranger has had a go at it. Stop ends it.
func (a Abuse) Begin(target Target) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all, first sync.WaitGroup
	doors := make(chan struct{}, doors)
	for number := range a.strangers {
		first.Add(1)
		all.Go(func() {
			once := sync.OnceFunc(first.Done)
			defer once()
			s := &stranger{ctx: ctx, target: target, turn: number}
			for pause := time.Duration(number) * time.Second / perSecond; s.rest(pause); s.turn++ {
				doors <- struct{}{}
				s.begun = sync.OnceFunc(func() { <-doors; once() })
				a.once(s)
				s.begun()
				s.leave()
				pause = time.Duration(a.strangers) * time.Second / againPerSecond
			}
		})
	}
	first.Wait()
	return func() {
		cancel()
		all.Wait()
	}
}

// stranger has one connection at a time.
type stranger struct {
	ctx    context.Context
	target Target
	// turn is another for each stranger and each time.
	turn int
	// begun lets the next one in.
	begun func()
	// conn is what the stranger speaks on: TLS, or raw itself.
	conn, raw net.Conn
	unhook    func() bool
}

const (
	// perSecond is how many strangers come at most, doors how many of them at the same time, and againPerSecond
	// how many come again: it is not how fast they come that is tried here.
	perSecond, doors, againPerSecond = 2000, 16, 200
	// patience is how long a stranger waits for the server to go on.
	patience = time.Second
	// dripEvery is the time between two bytes of what is slow.
	dripEvery = time.Second
)

// connect reports whether the stranger has a new connection. What comes of it is no stranger's concern.
func (s *stranger) connect() bool {
	if !s.connectPlainly() {
		return false
	}
	if s.target.TLS != nil {
		s.conn = tls.Client(s.raw, s.target.TLS)
	}
	return true
}

// connectPlainly leaves TLS out.
func (s *stranger) connectPlainly() bool {
	s.leave()
	conn, err := s.target.Dial(s.ctx)
	if err != nil {
		return false
	}
	s.raw, s.conn = conn, conn
	s.unhook = context.AfterFunc(s.ctx, func() { _ = conn.SetDeadline(time.Now()) })
	return true
}

// leave resets the connection, which leaves no trace in the kernel's tables.
func (s *stranger) leave() {
	if s.raw == nil {
		return
	}
	if tcp, ok := s.raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = s.raw.Close()
	s.unhook()
	s.raw, s.conn = nil, nil
}

// say reports whether all of it was sent, in time.
func (s *stranger) say(text string) bool {
	_ = s.conn.SetWriteDeadline(time.Now().Add(patience))
	if s.ctx.Err() != nil {
		return false
	}
	_, err := io.WriteString(s.conn, text)
	return err == nil
}

// ask makes a connection, sends a request and reads what the server says, until it says no more for a while
// or closes.
func (s *stranger) ask(request string) {
	if s.connect() && s.say(request) {
		s.listen()
	}
}

func (s *stranger) listen() {
	s.begun()
	answer := make([]byte, 16<<10)
	for {
		_ = s.conn.SetReadDeadline(time.Now().Add(patience))
		if s.ctx.Err() != nil {
			return
		}
		if _, err := s.conn.Read(answer); err != nil {
			return
		}
	}
}

// linger holds the connection until the server or the abuse ends it.
func (s *stranger) linger() {
	s.begun()
	_ = s.conn.SetReadDeadline(time.Time{})
	if s.ctx.Err() == nil {
		_, _ = s.conn.Read(make([]byte, 1))
	}
}

// drip sends a byte now and then until the server has had enough.
func (s *stranger) drip(text string) {
	s.begun()
	for i := range len(text) {
		if !s.rest(dripEvery) || !s.say(text[i:i+1]) {
			return
		}
	}
}

// rest reports whether there is time to go on.
func (s *stranger) rest(pause time.Duration) bool {
	select {
	case <-s.ctx.Done():
	case <-time.After(pause):
	}
	return s.ctx.Err() == nil
}

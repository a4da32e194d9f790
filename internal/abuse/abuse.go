// Package abuse sends what strangers may send to a site through its ingress: too much, too slowly, over too
// many connections and against the rules.
package abuse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// Site is an app behind an ingress.
type Site struct {
	Name string
	// address is the ingress's host and port.
	address string
	// get is a path that is answered, large the one with the largest answer, post one to send bodies to.
	get, large, post string
	// body is what an answer to get has to contain.
	body *regexp.Regexp
}

// Sites returns the stack's apps behind the ingress at an address.
func Sites(address string) []Site {
	return []Site{
		{"pingpong", address, "/pingpong", "/pings", "/pingpong", regexp.MustCompile(`^pong \d+$`)},
		{"page", address, "/", "/todos?limit=1000", "/todos", regexp.MustCompile(`</html>`)},
	}
}

// perSecond is how many requests an honest client sends.
const perSecond = 100

// Honest starts a client that does nothing wrong.
func (s Site) Honest() *load.Steady {
	return load.StartSteady(perSecond, "http://"+s.address+s.get, func(status int, body string) error {
		if status != http.StatusOK {
			return errors.New(body)
		}
		if !s.body.MatchString(body) {
			return fmt.Errorf("%q does not match %q", body, s.body)
		}
		return nil
	})
}

// Abuse is one way to abuse a site.
type Abuse struct {
	Name string
	// strangers do the same at the same time, over and over.
	strangers int
	act       func(s *stranger)
}

const (
	// Strangers connect at this rate, and when their connections have ended come back at a lower one: the tests
	// are not about how many connections the machine can open.
	connectsPerSecond, returnsPerSecond = 2000, 200
	// connecting bounds the strangers that connect at the same time.
	connecting = 16
)

// Start starts the abuse, and returns when each stranger has begun.
func (a Abuse) Start(site Site) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all, begun sync.WaitGroup
	places := make(chan struct{}, connecting)
	for number := range a.strangers {
		begun.Add(1)
		all.Go(func() {
			first := sync.OnceFunc(begun.Done)
			defer first()
			s := &stranger{ctx: ctx, site: site, turn: number}
			pause := time.Duration(number) * time.Second / connectsPerSecond
			for ; s.sleep(pause); s.turn++ {
				places <- struct{}{}
				s.begun = sync.OnceFunc(func() { <-places; first() })
				if s.connect() {
					a.act(s)
					s.disconnect()
				}
				s.begun()
				pause = time.Duration(a.strangers) * time.Second / returnsPerSecond
			}
		})
	}
	begun.Wait()
	return func() {
		cancel()
		all.Wait()
	}
}

// stranger is a client with one connection at a time.
type stranger struct {
	ctx  context.Context
	site Site
	// turn differs between strangers and between the times that one of them acts.
	turn int
	// begun lets the next stranger connect.
	begun func()
	conn  net.Conn
	// release ends the watch for the end of the abuse, which closes conn.
	release func() bool
}

const (
	// patience is how long a stranger waits for the server.
	patience = time.Second
	// dripEvery is the time between two bytes of a slow stranger.
	dripEvery = time.Second
)

func (s *stranger) connect() bool {
	conn, err := new(net.Dialer).DialContext(s.ctx, "tcp", s.site.address)
	if err != nil {
		return false
	}
	s.conn = conn
	s.release = context.AfterFunc(s.ctx, func() { _ = conn.Close() })
	return true
}

// disconnect resets the connection, so that nothing of it stays in the kernel's tables.
func (s *stranger) disconnect() {
	s.release()
	_ = s.conn.(*net.TCPConn).SetLinger(0)
	_ = s.conn.Close()
}

// send reports whether all of a text was sent in time.
func (s *stranger) send(text string) bool {
	_ = s.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := s.conn.Write([]byte(text))
	return err == nil
}

// receive reads until the server closes the connection or sends nothing for a while.
func (s *stranger) receive() {
	s.begun()
	buffer := make([]byte, 16<<10)
	for err := error(nil); err == nil; _, err = s.conn.Read(buffer) {
		_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	}
}

// hold keeps the connection until the server ends it.
func (s *stranger) hold() {
	s.begun()
	_ = s.conn.SetReadDeadline(time.Time{})
	_, _ = s.conn.Read(make([]byte, 1))
}

// drip sends a text byte by byte until the server ends the connection.
func (s *stranger) drip(text string) {
	s.begun()
	for i := range len(text) {
		if !s.sleep(dripEvery) || !s.send(text[i:i+1]) {
			return
		}
	}
}

// sleep reports whether the abuse goes on.
func (s *stranger) sleep(pause time.Duration) bool {
	select {
	case <-s.ctx.Done():
	case <-time.After(pause):
	}
	return s.ctx.Err() == nil
}

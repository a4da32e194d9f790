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

	"golang.org/x/time/rate"

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

// Strangers connect at the first rate, and come back at the second: the number of connections that the
// machine can open is not measured.
const connectsPerSecond, returnsPerSecond = 2000, 200

// Start starts the abuse, and returns when every stranger has tried to connect.
func (a Abuse) Start(site Site) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	limiter := rate.NewLimiter(connectsPerSecond, 1)
	var all, arrived sync.WaitGroup
	arrived.Add(a.strangers)
	for number := range a.strangers {
		all.Go(func() {
			arrive := sync.OnceFunc(arrived.Done)
			for turn := number; limiter.Wait(ctx) == nil; turn++ {
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", site.address)
				arrive()
				if err == nil {
					a.visit(&stranger{ctx, site, turn, conn.(*net.TCPConn)})
				}
			}
		})
	}
	arrived.Wait()
	limiter.SetLimit(returnsPerSecond)
	return func() {
		cancel()
		all.Wait()
	}
}

// visit acts until the stranger has had enough, the server closes the connection or the abuse ends. It resets
// the connection, so that nothing of it stays in the kernel's tables.
func (a Abuse) visit(s *stranger) {
	defer s.conn.Close()
	_ = s.conn.SetLinger(0)
	defer context.AfterFunc(s.ctx, func() { _ = s.conn.Close() })()
	a.act(s)
}

// stranger is a client on one connection.
type stranger struct {
	ctx  context.Context
	site Site
	// turn differs between strangers and between their connections.
	turn int
	conn *net.TCPConn
}

const (
	// patience is how long a stranger waits for the server.
	patience = time.Second
	// dripEvery is the time between two bytes of a slow stranger.
	dripEvery = time.Second
)

// send reports whether all of a text was sent in time.
func (s *stranger) send(text string) bool {
	_ = s.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := s.conn.Write([]byte(text))
	return err == nil
}

// receive reads until the server closes the connection or sends nothing for a while.
func (s *stranger) receive() {
	buffer := make([]byte, 16<<10)
	for err := error(nil); err == nil; _, err = s.conn.Read(buffer) {
		_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	}
}

// hold keeps the connection until the server ends it.
func (s *stranger) hold() {
	_ = s.conn.SetReadDeadline(time.Time{})
	_, _ = s.conn.Read(make([]byte, 1))
}

// drip sends a text byte by byte until the server ends the connection.
func (s *stranger) drip(text string) {
	for i := range len(text) {
		if !s.sleep(dripEvery) || !s.send(text[i:i+1]) {
			return
		}
	}
}

// sleep reports whether the abuse continues.
func (s *stranger) sleep(pause time.Duration) bool {
	select {
	case <-s.ctx.Done():
	case <-time.After(pause):
	}
	return s.ctx.Err() == nil
}

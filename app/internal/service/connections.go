package service

import (
	"container/list"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
)

// limiter is a listener that keeps connections within limits. One too many costs that one its place whose
// client has kept the server waiting the longest: whoever only holds connections loses them, and who has sent
// a request gets the answer.
type limiter struct {
	net.Listener
	// most connections there may be, and so many of them whose clients have yet to take a long answer.
	most, mostWriting int

	mu      sync.Mutex
	changed sync.Cond
	waiting *list.List // of *connection whose clients have to do something, the one that waits the longest first
	open    int
	writing int
	told    rate.Sometimes

	// handshakes holds a place for each that is computed.
	handshakes chan struct{}
}

// longAnswer is the least that a long answer has, in bytes. Short ones fit into the buffers of their
// connections, which the kernel would by itself let grow to megabytes, and copying these takes the time in
// which others could be answered.
const longAnswer = 32 << 10

func limit(listener net.Listener, most, mostWriting int) *limiter {
	l := &limiter{
		Listener: listener, most: most, mostWriting: mostWriting, waiting: list.New(),
		told:       rate.Sometimes{Interval: time.Minute},
		handshakes: make(chan struct{}, maxHandshakes),
	}
	l.changed.L = &l.mu
	return l
}

// grace is what every client gets to say something.
const grace = 100 * time.Millisecond

// Accept returns the next connection. While all others are being answered, or have just come, it waits.
func (l *limiter) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.open >= l.most {
		switch longest := l.longest(); {
		case longest == nil:
			l.changed.Wait()
		case time.Since(longest.since) < grace:
			l.waitFor(grace - time.Since(longest.since))
		default:
			l.drop(longest)
		}
	}
	l.open++
	if tcp, ok := accepted.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(longAnswer)
	}
	return &connection{Conn: accepted, limiter: l}, nil
}

// longest is the connection whose client has kept the server waiting the longest, or nil if it waits for
// none.
func (l *limiter) longest() *connection {
	for place := l.waiting.Front(); place != nil; place = place.Next() {
		if c := place.Value.(*connection); c.keepsWaiting() {
			return c
		}
	}
	return nil
}

// waitFor waits for a change, but no longer than that.
func (l *limiter) waitFor(most time.Duration) {
	timer := time.AfterFunc(most, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.changed.Signal()
	})
	defer timer.Stop()
	l.changed.Wait()
}

// drop closes a connection. That takes until its reader has noticed, for which nobody has to wait.
func (l *limiter) drop(c *connection) {
	l.leave(c)
	go func() { _ = c.Conn.Close() }()
	l.told.Do(func() {
		slog.Warn("too many connections: closing those that have kept waiting the longest", "most", l.most,
			"most_that_read_slowly", l.mostWriting)
	})
}

func (l *limiter) leave(c *connection) {
	if c.left {
		return
	}
	c.left = true
	c.update()
	l.open--
	l.changed.Signal()
}

// connection knows for what it waits.
type connection struct {
	net.Conn
	limiter *limiter

	// reading is also for the end of the connection, while the server answers.
	reading, answering, writing, left bool
	// answered is how much was written since the client has last said something, in bytes.
	answered int
	// place is that in waiting, since when it is there, counted says whether writing counts.
	place   *list.Element
	since   time.Time
	counted bool

	// shaking is while a handshake has a place.
	shaking atomic.Bool
}

func (c *connection) Read(b []byte) (int, error) {
	c.change(func() { c.reading = true })
	n, err := c.Conn.Read(b)
	c.change(func() {
		c.reading = false
		if n > 0 {
			c.answered = 0
		}
	})
	return n, err
}

func (c *connection) Write(b []byte) (int, error) {
	c.endHandshake()
	c.change(func() {
		c.writing = true
		c.answered += len(b)
	})
	defer c.change(func() { c.writing = false })
	return c.Conn.Write(b)
}

func (c *connection) Close() error {
	c.endHandshake()
	c.limiter.mu.Lock()
	c.limiter.leave(c)
	c.limiter.mu.Unlock()
	return c.Conn.Close()
}

// change changes what the connection waits for.
func (c *connection) change(change func()) {
	l := c.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	c.update()
	for place := l.waiting.Front(); place != nil && l.writing > l.mostWriting; place = place.Next() {
		if slow := place.Value.(*connection); slow.counted && slow.keepsWaiting() {
			l.drop(slow)
			return
		}
	}
}

// update makes the lists of the limiter fit.
func (c *connection) update() {
	l := c.limiter
	waits := !c.left && (c.writing || c.reading && !c.answering)
	switch {
	case waits && c.place == nil:
		c.place, c.since = l.waiting.PushBack(c), time.Now()
		l.changed.Signal()
	case !waits && c.place != nil:
		l.waiting.Remove(c.place)
		c.place = nil
	}
	if counts := !c.left && c.writing && c.answered >= longAnswer; counts != c.counted {
		c.counted = counts
		if counts {
			l.writing++
		} else {
			l.writing--
		}
	}
}

// keepsWaiting tells whether it is the client for whom the server waits: a busy server has not read yet what
// others have sent, nor written all that they would take.
func (c *connection) keepsWaiting() bool {
	system, ok := c.Conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := system.SyscallConn()
	if err != nil {
		return true
	}
	inquiry, isSlow := uint(unix.SIOCINQ), func(bytes int) bool { return bytes == 0 }
	if c.writing {
		inquiry, isSlow = unix.SIOCOUTQ, func(bytes int) bool { return bytes > 0 }
	}
	slow := true
	_ = raw.Control(func(fd uintptr) {
		if bytes, err := unix.IoctlGetInt(int(fd), inquiry); err == nil {
			slow = isSlow(bytes)
		}
	})
	return slow
}

type connectionKey struct{}

// remember makes a connection known to its requests.
func remember(ctx context.Context, conn net.Conn) context.Context {
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn()
	}
	return context.WithValue(ctx, connectionKey{}, conn)
}

// answer says of connections when a request has arrived and is not yet answered.
func answer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := r.Context().Value(connectionKey{}).(*connection)
		defer c.change(func() { c.answering = false })
		if r.ContentLength < 0 {
			// Or the answer would wait for what nobody reads of the body, and chunks of one byte cost the server more
			// than the client.
			w.Header().Set("Connection", "close")
			defer func() { _ = http.NewResponseController(w).SetReadDeadline(time.Now()) }()
		}
		if r.ContentLength == 0 {
			c.change(func() { c.answering = true })
		} else {
			r.Body = &body{r.Body, c}
		}
		next.ServeHTTP(w, r)
	})
}

// body says when it has arrived.
type body struct {
	io.ReadCloser
	connection *connection
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.connection.change(func() { b.connection.answering = true })
	}
	return n, err
}

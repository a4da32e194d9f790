package service

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const request = "GET / HTTP/1.1\r\nHost: app\r\n\r\n"

// network connects clients with a server.
type network struct {
	net.Listener
	t       *testing.T
	limiter *limiter
	dials   chan net.Conn
	clients []net.Conn
}

// inNetwork runs a test on a clock of its own, and serves meanwhile 3 connections and so many slow readers.
func inNetwork(t *testing.T, mostWriting int, handler http.HandlerFunc, test func(n *network)) {
	t.Helper()
	inNetworkOf(t, newServer(handler), mostWriting, test)
}

func inNetworkOf(t *testing.T, server *http.Server, mostWriting int, test func(n *network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &network{t: t, dials: make(chan net.Conn)}
		n.limiter = limit(n, 3, mostWriting)
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error)
		go func() { served <- serveOn(ctx, n.limiter, server) }()
		test(n)
		for _, conn := range n.clients {
			conn.Close()
		}
		stop()
		assert.NoError(t, <-served)
	})
}

func (n *network) Accept() (net.Conn, error) {
	conn, ok := <-n.dials
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (n *network) Close() error   { close(n.dials); return nil }
func (n *network) Addr() net.Addr { return &net.TCPAddr{} }

// client is one end of a connection.
type client struct {
	net.Conn
	t *testing.T
}

// connect gives the server the time to make room.
func (n *network) connect() client {
	c := n.dial()
	time.Sleep(grace)
	synctest.Wait()
	return c
}

func (n *network) dial() client {
	here, there := net.Pipe()
	n.clients = append(n.clients, here)
	n.dials <- there
	synctest.Wait()
	return client{here, n.t}
}

func (c client) say(text string) {
	c.t.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(c.t, err)
	synctest.Wait()
}

// hears the body of an answer.
func (c client) hears(body string) {
	c.t.Helper()
	c.listens(body)
	synctest.Wait()
}

func (c client) listens(body string) {
	c.t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(c.t, err)
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	assert.Equal(c.t, body, string(got))
}

// closes is whether and after which time the server does so.
func (c client) closes(within time.Duration) (after time.Duration, closes bool) {
	c.t.Helper()
	start := time.Now()
	_ = c.SetReadDeadline(start.Add(within)) // which fails if it is closed already
	_, err := io.Copy(io.Discard, c)
	_ = c.SetReadDeadline(time.Time{})
	return time.Since(start), !errors.Is(err, os.ErrDeadlineExceeded)
}

func (c client) isClosed() {
	c.t.Helper()
	_, closes := c.closes(time.Millisecond)
	assert.True(c.t, closes)
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func TestTheLongestWaitingMakesRoom(t *testing.T) {
	inNetwork(t, 1, hello, func(n *network) {
		first, second, third := n.connect(), n.connect(), n.connect()
		first.say(request)
		first.hears("hello")
		fourth := n.connect()
		second.isClosed()
		third.say("GET / HTTP/1.1\r\n") // a part of a request makes it wait again
		fifth := n.connect()
		first.isClosed()
		for _, c := range []client{fourth, fifth} {
			c.say(request)
			c.hears("hello")
		}
		third.say("Host: app\r\n\r\n")
		third.hears("hello")
	})
}

func TestWhoHasJustComeGetsTimeToSayWhatItWants(t *testing.T) {
	inNetwork(t, 1, hello, func(n *network) {
		first := n.dial()
		n.dial()
		n.dial()
		late := n.dial()
		_, closes := first.closes(grace - time.Millisecond)
		assert.False(t, closes)
		time.Sleep(time.Millisecond)
		first.isClosed()
		late.say(request)
		late.hears("hello")
	})
}

// A server that is too busy to read what a client has sent does not wait for the client.
func TestWhoHasSentSomethingIsNotWaitedFor(t *testing.T) {
	listener, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	defer listener.Close()
	l := limit(listener, 2, 2)
	connect := func() (client net.Conn, server *connection) {
		client, err := net.Dial("tcp", listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { client.Close() })
		accepted, err := l.Accept()
		require.NoError(t, err)
		server = accepted.(*connection)
		server.change(func() { server.reading = true })
		return client, server
	}
	sender, first := connect()
	_, second := connect()
	_, err = io.WriteString(sender, request)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !first.keepsWaiting() }, 10*time.Second, time.Millisecond)
	assert.True(t, second.keepsWaiting())
	leaver, third := connect()
	assert.True(t, second.left)
	assert.False(t, first.left)

	_, err = io.ReadFull(first, make([]byte, len(request)))
	require.NoError(t, err)
	assert.True(t, first.keepsWaiting())

	first.change(func() { first.writing = true })
	assert.False(t, first.keepsWaiting(), "it has taken all that there is")
	require.NoError(t, first.SetWriteDeadline(time.Now().Add(time.Second)))
	for err == nil {
		_, err = first.Conn.Write(make([]byte, 1<<20))
	}
	assert.True(t, first.keepsWaiting())

	require.NoError(t, leaver.Close())
	assert.True(t, third.keepsWaiting(), "it has sent nothing before its end")
}

func TestRequestsAreAnsweredBeforeOthersCome(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		time.Sleep(time.Second)
		_, _ = w.Write(body)
	}
	inNetwork(t, 3, echo, func(n *network) {
		var listening sync.WaitGroup
		for range 3 {
			c := n.connect()
			c.say("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 5\r\n\r\nhello")
			listening.Go(func() { c.listens("hello") })
		}
		late := n.connect()
		listening.Wait()
		late.say(request)
		late.hears("")
	})
}

// A body that does not come is no reason to wait.
func TestSlowBodiesMakeRoom(t *testing.T) {
	read := func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) }
	inNetwork(t, 1, read, func(n *network) {
		for range 3 {
			n.connect().say("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 5\r\n\r\nhel")
		}
		honest := n.connect()
		honest.say(request)
		honest.hears("")
	})
}

func TestAnswersDoNotWaitForChunksThatNobodyReads(t *testing.T) {
	inNetwork(t, 3, hello, func(n *network) {
		c := n.connect()
		begin := time.Now()
		c.say("POST / HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
		c.hears("hello")
		assert.Zero(t, time.Since(begin))
		read, err := io.WriteString(c, strings.Repeat("1\r\nx\r\n", 100_000))
		assert.Error(t, err)
		assert.Less(t, read, 5<<10, "a buffer")
	})
}

func TestTheSlowestReaderMakesRoom(t *testing.T) {
	long := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("long", longAnswer))
	}
	inNetwork(t, 1, long, func(n *network) {
		first, second := n.connect(), n.connect()
		for _, c := range []client{first, second} {
			c.say(request)
			_, err := io.CopyN(io.Discard, c, longAnswer)
			require.NoError(t, err)
			synctest.Wait()
		}
		first.isClosed()
		_, closes := second.closes(time.Second)
		assert.False(t, closes)
	})
	inNetwork(t, 1, hello, func(n *network) { // which is short
		first, second := n.connect(), n.connect()
		first.say(request)
		second.say(request)
		first.hears("hello")
		second.hears("hello")
	})
}

func TestWaitsForNobodyForGood(t *testing.T) {
	read := func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) }
	for said, limit := range map[string]time.Duration{
		"":                   5 * time.Second,
		"GET / HTTP/1.1\r\n": 5 * time.Second,
		"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 5\r\n\r\nhel":     time.Minute,
		"GET / HTTP/1.1\r\nHost: app\r\nX: " + strings.Repeat("x", 13<<10): 0,
	} {
		inNetwork(t, 1, read, func(n *network) {
			c := n.connect()
			go func() { _, _ = io.WriteString(c, said) }() // which may be more than is read
			after, closes := c.closes(time.Hour)
			assert.True(t, closes, said)
			assert.LessOrEqual(t, after, limit+time.Second, said)
		})
	}
	inNetwork(t, 1, hello, func(n *network) { // it keeps a connection, but not for good
		c := n.connect()
		c.say(request)
		c.hears("hello")
		after, closes := c.closes(time.Hour)
		assert.True(t, closes)
		assert.Equal(t, 3*time.Minute, after)
	})
	inNetwork(t, 1, hello, func(n *network) { // and waits for no reader
		c := n.connect()
		c.say(request)
		time.Sleep(2 * time.Minute)
		c.isClosed()
	})
}

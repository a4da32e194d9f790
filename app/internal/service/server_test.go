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
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/freeport"
)

const request = "GET / HTTP/1.1\r\nHost: app\r\n\r\n"

func TestServeFinishesRequestsInProgress(t *testing.T) {
	port := freeport.Find(t)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		stopped <- Serve(ctx, port, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			stop()
			// Refused connections show that the server has begun to stop.
			for {
				conn, err := net.Dial("tcp", "localhost:"+port)
				if err != nil {
					break
				}
				conn.Close()
			}
			_, _ = io.WriteString(w, "finished")
		}))
	}()
	conn := dial(t, port)
	assert.Equal(t, "finished", get(t, conn))
	assert.NoError(t, <-stopped)
}

func TestConnectionsBeyondTheLimitWait(t *testing.T) {
	port := freeport.Find(t)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- listenAndServe(ctx, port, 2, newServer(http.HandlerFunc(hello))) }()
	first, second, waiting := dial(t, port), dial(t, port), dial(t, port)
	assert.Equal(t, "hello", get(t, first))
	assert.Equal(t, "hello", get(t, second))
	_, err := io.WriteString(waiting, request)
	require.NoError(t, err)
	require.NoError(t, waiting.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = waiting.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, first.Close())
	require.NoError(t, waiting.SetReadDeadline(time.Time{}))
	assert.Equal(t, "hello", readBody(t, waiting))
	stop()
	assert.NoError(t, <-stopped)
}

func TestServerEndsConnections(t *testing.T) {
	readAll := func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) }
	for _, test := range []struct {
		name, sent string
		handler    http.HandlerFunc
		after      time.Duration
	}{
		{"without a request", "", hello, headerTimeout},
		{"half a header", "GET / HTTP/1.1\r\n", hello, headerTimeout},
		{"too large a header", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 2*maxHeaderBytes), hello, time.Second},
		{"half a body", "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 5\r\n\r\nhel", readAll, readTimeout},
		{"half a body that nobody reads", "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 5\r\n\r\nhel", hello,
			readTimeout},
		{"an idle connection", request, hello, idleTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, test.handler, func(client net.Conn) {
				start := time.Now()
				go func() { _, _ = io.WriteString(client, test.sent) }() // the server may not read all of it
				require.NoError(t, client.SetReadDeadline(start.Add(time.Hour)))
				_, err := io.Copy(io.Discard, client)
				assert.False(t, errors.Is(err, os.ErrDeadlineExceeded), "still open after an hour")
				assert.WithinDuration(t, start.Add(test.after), time.Now(), time.Second)
			})
		})
	}
	t.Run("an answer that nobody reads", func(t *testing.T) {
		inBubble(t, hello, func(client net.Conn) {
			_, err := io.WriteString(client, request)
			require.NoError(t, err)
			time.Sleep(writeTimeout + time.Second)
			_, err = client.Read(make([]byte, 1))
			assert.ErrorIs(t, err, io.EOF)
		})
	})
}

// inBubble runs a test with a fake clock and one connection to a server.
func inBubble(t *testing.T, handler http.HandlerFunc, test func(client net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client, accepted := net.Pipe()
		listener := &pipeListener{accepted: make(chan net.Conn, 1)}
		listener.accepted <- accepted
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- serve(ctx, listener, newServer(handler)) }()
		test(client)
		client.Close()
		stop()
		assert.NoError(t, <-stopped)
	})
}

type pipeListener struct {
	net.Listener
	accepted chan net.Conn
}

func (l *pipeListener) Accept() (net.Conn, error) {
	conn, ok := <-l.accepted
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (l *pipeListener) Close() error   { close(l.accepted); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

// dial connects to a server that may be just starting.
func dial(t *testing.T, port string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", "localhost:"+port)
	for deadline := time.Now().Add(20 * time.Second); err != nil && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
		conn, err = net.Dial("tcp", "localhost:"+port)
	}
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func get(t *testing.T, conn net.Conn) string {
	t.Helper()
	_, err := io.WriteString(conn, request)
	require.NoError(t, err)
	return readBody(t, conn)
}

func readBody(t *testing.T, conn net.Conn) string {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

package main

import (
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// echo is an HTTP server on a Unix socket that answers with the request's body.
type echo struct {
	socket string
	// gate, if there is one, is where answers wait.
	gate chan struct{}
	// connections counts all connections so far, open only the open ones.
	connections, open atomic.Int32
}

func (e *echo) start(t *testing.T) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", e.socket)
	require.NoError(t, err)
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			content, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			if e.gate != nil {
				<-e.gate
			}
			_, _ = w.Write(content)
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				e.connections.Add(1)
				e.open.Add(1)
			case http.StateClosed:
				e.open.Add(-1)
			}
		},
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
}

func newEcho() *echo { return &echo{socket: "@storage-" + rand.Text()} }

func TestForwardWaitsForTheFirstBufferOfABody(t *testing.T) {
	for name, size := range map[string]int{"small": bufferSize / 2, "large": 3 * bufferSize} {
		t.Run(name, func(t *testing.T) {
			server := newEcho()
			content := strings.Repeat("x", size)
			first := min(size, bufferSize-1)
			body := io.MultiReader(
				strings.NewReader(content[:first]),
				callback(func() { server.start(t) }), // until here no server listens
				strings.NewReader(content[first:]),
			)
			request := httptest.NewRequest(http.MethodPut, "/backups/a", body)
			request.ContentLength = int64(size)
			answer := httptest.NewRecorder()
			forward(server.socket).ServeHTTP(answer, request)
			assert.Equal(t, http.StatusOK, answer.Code)
			assert.True(t, content == answer.Body.String())
		})
	}
}

// callback is an empty reader that calls a function.
type callback func()

func (c callback) Read([]byte) (int, error) {
	c()
	return 0, io.EOF
}

func TestForwardRefusesBrokenBodies(t *testing.T) {
	body := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("the client is gone")))
	answer := httptest.NewRecorder()
	forward(newEcho().socket).ServeHTTP(answer, httptest.NewRequest(http.MethodPut, "/backups/a", body))
	assert.Equal(t, http.StatusBadRequest, answer.Code)
}

// The S3 server answers some requests before it has read their bodies, and takes the rest for the next
// request.
func TestForwardUsesEachConnectionOnce(t *testing.T) {
	server := newEcho()
	server.start(t)
	handler := forward(server.socket)
	for range 3 {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/backups/a", http.NoBody))
		require.Equal(t, http.StatusOK, answer.Code)
	}
	assert.EqualValues(t, 3, server.connections.Load())
}

// Beyond a limit of its own the S3 server refuses requests.
func TestForwardLetsRequestsBeyondTheLimitWait(t *testing.T) {
	server := newEcho()
	server.gate = make(chan struct{})
	server.start(t)
	handler := forward(server.socket)
	var requests sync.WaitGroup
	for range maxRequests + 10 {
		requests.Go(func() {
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPut, "/backups/a", strings.NewReader("a")))
			assert.Equal(t, http.StatusOK, answer.Code)
		})
	}
	require.Eventually(t, func() bool { return server.open.Load() == maxRequests }, time.Minute,
		time.Millisecond)
	time.Sleep(50 * time.Millisecond)
	assert.EqualValues(t, maxRequests, server.connections.Load())
	close(server.gate)
	requests.Wait()
	assert.EqualValues(t, maxRequests+10, server.connections.Load())
}

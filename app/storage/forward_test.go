package main

import (
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestABodyIsForwardedWhenItsBeginningHasCome(t *testing.T) {
	for name, size := range map[string]int{"small": bufferSize / 2, "large": 3 * bufferSize} {
		t.Run(name, func(t *testing.T) {
			socket := "@storage-" + rand.Text()
			content := strings.Repeat("x", size)
			beginning := min(size, bufferSize-1)
			body := io.MultiReader(
				strings.NewReader(content[:beginning]),
				interlude(func() { startEcho(t, socket) }), // before which there is nobody to forward to
				strings.NewReader(content[beginning:]),
			)
			request := httptest.NewRequest(http.MethodPut, "/backups/a", body)
			request.ContentLength = int64(size)
			answer := httptest.NewRecorder()
			forward(socket).ServeHTTP(answer, request)
			assert.Equal(t, http.StatusOK, answer.Code)
			assert.True(t, content == answer.Body.String())
		})
	}
}

func TestABodyThatBreaksOffIsNotForwarded(t *testing.T) {
	socket := "@storage-" + rand.Text()
	body := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("the client is gone")))
	answer := httptest.NewRecorder()
	forward(socket).ServeHTTP(answer, httptest.NewRequest(http.MethodPut, "/backups/a", body))
	assert.Equal(t, http.StatusBadRequest, answer.Code)
}

// The S3 server answers some requests before it has read their bodies, and goes on to read requests where it
// stopped.
func TestNoRequestFollowsAnotherOnAConnection(t *testing.T) {
	socket := "@storage-" + rand.Text()
	connections := startEcho(t, socket)
	handler := forward(socket)
	for range 3 {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/backups/a", http.NoBody))
		require.Equal(t, http.StatusOK, answer.Code)
	}
	assert.EqualValues(t, 3, connections.Load())
}

// startEcho starts a server that answers with what it gets, and counts its connections.
func startEcho(t *testing.T, socket string) *atomic.Int32 {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	require.NoError(t, err)
	connections := new(atomic.Int32)
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			content, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			_, _ = w.Write(content)
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		},
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return connections
}

package main

import (
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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

// startEcho starts a server that answers with what it gets.
func startEcho(t *testing.T, socket string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		_, _ = w.Write(content)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
}

package heartbeat

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
)

var errRows = errors.New("duplicate key: (name)=(alice)")

// listen returns a heartbeat, and the requests to it so far.
func listen(t *testing.T, statuses ...int) (Heartbeat, func() []string) {
	t.Helper()
	var requests []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests = append(requests, r.Method+" "+r.URL.String())
		assert.Zero(t, r.ContentLength)
		if len(requests) <= len(statuses) {
			w.WriteHeader(statuses[len(requests)-1])
		}
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(file, []byte(server.URL+"/token/backup-shop?create=1\n"), 0o600))
	t.Setenv("HEARTBEAT_URL_FILE", file)
	var r settings.Reader
	h := Read(&r)
	require.NoError(t, r.Err())
	return h, func() []string { return requests }
}

func TestTheHeartbeatTellsSuccessAndFailure(t *testing.T) {
	h, requests := listen(t)
	h.Tell(t.Context(), nil)
	h.Tell(t.Context(), errRows)
	assert.Equal(t, []string{"GET /token/backup-shop?create=1", "GET /token/backup-shop/fail?create=1"},
		requests())
}

func TestTheHeartbeatIsTriedAgain(t *testing.T) {
	h, requests := listen(t, http.StatusBadGateway)
	h.Tell(t.Context(), nil)
	assert.Len(t, requests(), 2)
}

func TestAHeartbeatAfterItsTimeIsTold(t *testing.T) {
	h, requests := listen(t)
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	h.Tell(late, errRows)
	assert.Len(t, requests(), 1, "too long a run has failed")

	stopped, stop := context.WithCancel(t.Context())
	stop()
	h.Tell(stopped, errRows)
	assert.Len(t, requests(), 1, "another pod takes the place of a stopped one")
}

func TestErrorsDoNotShowTheAddress(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	u, err := url.Parse(server.URL + "/token")
	require.NoError(t, err)
	require.EqualError(t, ask(t.Context(), u), "the answer is 404 Not Found")
	server.Close()
	err = ask(t.Context(), u)
	require.ErrorContains(t, err, "refused")
	assert.NotContains(t, err.Error(), "token")
}

func TestWithoutAHeartbeatNobodyIsTold(t *testing.T) {
	var r settings.Reader
	Read(&r).Tell(t.Context(), nil)
	require.NoError(t, r.Err())

	file := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(file, []byte("hunter2"), 0o600))
	t.Setenv("HEARTBEAT_URL_FILE", file)
	Read(&r)
	require.ErrorContains(t, r.Err(), "HEARTBEAT_URL_FILE: the file does not hold an address such as ")
	assert.NotContains(t, r.Err().Error(), "hunter2")
}

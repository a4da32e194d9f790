package service

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServeFinishesRequestsUnderWay(t *testing.T) {
	listener, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	require.NoError(t, listener.Close())

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

	var response *http.Response
	require.Eventually(t, func() bool {
		response, err = http.Get("http://localhost:" + port)
		return err == nil
	}, 20*time.Second, 20*time.Millisecond)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, "finished", string(body))
	assert.NoError(t, <-stopped)
}

package load_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

func TestCheckPings(t *testing.T) {
	assert.NoError(t, load.PingAccount{}.Check(5, 5))
	assert.NoError(t, load.PingAccount{Numbers: []int64{6, 5, 7}}.Check(5, 8))
	assert.NoError(t, load.PingAccount{Numbers: []int64{5, 7}, Outcomes: load.Outcomes{Unanswered: 1}}.Check(5,
		8))
	for message, account := range map[string]load.PingAccount{
		"6 was handed out twice":                      {Numbers: []int64{5, 6, 6}},
		"numbers from 4 to 6, though":                 {Numbers: []int64{4, 5, 6}},
		"numbers from 5 to 8, though":                 {Numbers: []int64{5, 6, 8}},
		"1 numbers were handed out that are not":      {Numbers: []int64{5, 6, 7, 7}},
		"1 pings were counted without an answer, and": {Numbers: []int64{5, 6}},
		"2 pings were counted without an answer, and ": {Numbers: []int64{5},
			Outcomes: load.Outcomes{Unanswered: 1}},
		"1 numbers were handed out after higher ones": {Numbers: []int64{5, 6, 7}, OutOfOrder: 1},
		"status 500: oh": {Numbers: []int64{5, 6, 7},
			Outcomes: load.Outcomes{Faults: []string{"status 500: oh"}}},
	} {
		assert.ErrorContains(t, account.Check(5, 8), message)
	}
}

// Whoever asks after an answer gets a higher number.
func TestPingsOutOfOrderAreCounted(t *testing.T) {
	numbers := []string{"5", "7", "6", "8"}
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i := int(asked.Add(1)) - 1
		if i >= len(numbers) {
			http.Error(w, "no more", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "pong "+numbers[i])
	}))
	defer server.Close()
	pings := load.StartPings(1, 0, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	})
	assert.Eventually(t, func() bool { return pings.Failed() > 0 }, time.Minute, time.Millisecond)
	account := pings.Stop()
	assert.Equal(t, []int64{5, 7, 6, 8}, account.Numbers)
	assert.Equal(t, 1, account.OutOfOrder)
}

package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
)

// The test binary is the app too.
func TestMain(m *testing.M) { apptest.Main(m, main) }

// process is a running pingpong.
type process struct {
	*apptest.Process
	t *testing.T
}

// startProcess starts pingpong with the address of its database, NAME=value.
func startProcess(t *testing.T, database string) *process {
	t.Helper()
	return &process{apptest.Start(t, database), t}
}

func (p *process) ping() int64 {
	p.t.Helper()
	status, body := p.Get("/pingpong")
	require.Equal(p.t, http.StatusOK, status, body)
	return number(p.t, body)
}

// number returns N of "pong N".
func number(t *testing.T, body string) int64 {
	t.Helper()
	text, ok := strings.CutPrefix(body, "pong ")
	require.True(t, ok, body)
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err)
	return n
}

// pings returns the count so far.
func (p *process) pings() int64 {
	p.t.Helper()
	status, body := p.Get("/pings")
	require.Equal(p.t, http.StatusOK, status, body)
	return count(p.t, body)
}

// count returns N of {"pings": N}.
func count(t *testing.T, body string) int64 {
	t.Helper()
	var answer struct{ Pings *int64 }
	require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
	require.NotNil(t, answer.Pings, body)
	return *answer.Pings
}

package e2e

import (
	"encoding/json"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

const (
	pingpongService = "pingpong-svc"

	// pinging is how many clients ping at the same time.
	pinging = 8
)

// pings is the count so far.
func (c *cluster) pings() int64 {
	c.t.Helper()
	return c.site(pingpongService).pings()
}

func (s site) pings() int64 {
	s.t.Helper()
	var answer struct{ Pings int64 }
	require.NoError(s.t, json.Unmarshal([]byte(s.get("/pings")), &answer))
	return answer.Pings
}

// pingRun is clients that ping all the time, and the count before them.
type pingRun struct {
	*load.Pings
	c      *cluster
	before int64
}

// startPinging returns when every replica counts.
func (c *cluster) startPinging() *pingRun {
	c.t.Helper()
	run := &pingRun{c: c, before: c.pings()}
	run.Pings = load.StartPings(pinging, perSecond(c.t), c.dialer(pingpongService))
	c.t.Cleanup(func() { run.Stop() })
	run.goesOn()
	c.waitForMetric("pingpong", `http_request_duration_seconds_count{route="GET /pingpong",status="200"}`)
	return run
}

// goesOn waits until numbers are handed out from now on.
func (r *pingRun) goesOn() {
	r.c.t.Helper()
	goesOn(r.c.t, r.Acknowledged)
}

// end stops the clients and returns their account, checked against the count.
func (r *pingRun) end() load.PingAccount {
	r.c.t.Helper()
	account := r.Stop()
	after := r.c.pings()
	r.c.t.Logf("%s; counted from %d to %d", account, r.before, after)
	require.NoError(r.c.t, account.Check(r.before, after))
	return account
}

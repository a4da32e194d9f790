package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
)

// If the connection is lost during a commit, the ping gets its number and is counted once, whether the commit
// was received or not.
func TestUnknownCommits(t *testing.T) {
	for what, lose := range map[string]func(*postgrestest.Proxy, string) *postgrestest.Fault{
		"committed, and the answer lost": (*postgrestest.Proxy).LoseAnswer,
		"never received":                 (*postgrestest.Proxy).LoseRequest,
	} {
		t.Run(what, func(t *testing.T) {
			r, _, proxy := startOne(t)
			for number := int64(0); number < 6; {
				assert.Equal(t, number, r.ping())
				fault := lose(proxy, add(t))
				assert.Equal(t, number+1, r.ping())
				<-fault.Struck
				number += 2
				assert.Equal(t, number, r.pings())
			}
		})
	}
}

// A message of an earlier session that arrives late changes nothing.
func TestLateCommitIsRefused(t *testing.T) {
	r, _, proxy := startOne(t)
	assert.Equal(t, int64(0), r.ping())
	fault := proxy.HoldRequest(add(t))
	assert.Equal(t, int64(1), r.ping(), "in a new session")
	<-fault.Struck
	fault.Release()
	assert.Equal(t, int64(2), r.pings())
	assert.Equal(t, int64(2), r.ping())
}

// That holds even if the new session has added nothing, because the client has gone.
func TestLateCommitForNobodyIsRefused(t *testing.T) {
	r, _, proxy := startOne(t)
	assert.Equal(t, int64(0), r.ping())
	fault := proxy.HoldRequest(add(t))
	r.abandon(fault)
	r.eventually(func() bool { return r.scan(`SELECT epoch FROM replica`) == 2 })
	fault.Release()
	assert.Equal(t, int64(1), r.pings())
	assert.Equal(t, int64(1), r.ping())
}

// A late message does not match the row that has replaced its own.
func TestLateCommitFindsNoNewRow(t *testing.T) {
	r, server, proxy := startOne(t)
	server.Exec(`DELETE FROM replica`)
	fault := proxy.HoldRequest(add(t))
	r.abandon(fault)
	r.eventually(func() bool { return r.scan(`SELECT count(*) FROM replica`) == 1 })
	fault.Release()
	assert.Equal(t, int64(0), r.pings())
	assert.Equal(t, int64(0), r.ping())
}

// The server remembers the last batch however far its clock jumps.
func TestCommitIsRememberedWhateverTheTime(t *testing.T) {
	r, server, proxy := startOne(t)
	first, release := r.block(server)
	proxy.Away(true)
	release()
	r.eventually(func() bool { return server.Ask(`SELECT sequence::text FROM replica`) == "1" })
	server.Exec(`UPDATE replica SET added = now() - interval '1 year'`)
	proxy.Away(false)
	assert.Equal(t, outcome{number: 0}, <-first)
	assert.Equal(t, int64(1), r.pings())
}

// The next session waits for a commit that is still in progress when the connection is lost.
func TestCommitUnderWayIsWaitedFor(t *testing.T) {
	r, server, proxy := startOne(t)
	assert.Equal(t, int64(0), r.ping())
	first, release := r.block(server)
	proxy.Cut()
	release()
	assert.Equal(t, outcome{number: 1}, <-first)
	assert.Equal(t, int64(2), r.pings())
}

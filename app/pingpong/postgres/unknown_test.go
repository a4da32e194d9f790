package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
)

// A connection that is lost while a batch is committed leaves it open whether it was. Either way the ping
// gets its number, and is counted once.
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

// What an earlier session sent and the server gets only now changes nothing.
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

// That holds even if nothing was added since: the client that waited for it has gone meanwhile.
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

// Nor does it find its epoch in a row that took the place of its own.
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

// Whether a batch was committed is known for as long as somebody asks, however far the server's clock jumps
// meanwhile.
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

// A batch that the server is still committing as its connection is lost is waited for.
func TestCommitUnderWayIsWaitedFor(t *testing.T) {
	r, server, proxy := startOne(t)
	assert.Equal(t, int64(0), r.ping())
	first, release := r.block(server)
	proxy.Cut()
	release()
	assert.Equal(t, outcome{number: 1}, <-first)
	assert.Equal(t, int64(2), r.pings())
}

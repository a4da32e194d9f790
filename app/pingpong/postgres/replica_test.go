package postgres_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/database"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/app/pingpong/counter"
	"github.com/stateful-k3s/stateful-k3s/app/pingpong/postgres"
)

const patience = time.Minute

// replica is a committer and its ledger, as each process has them.
type replica struct {
	*counter.Committer
	t      *testing.T
	ledger *postgres.Ledger
	db     *database.Database
}

// startReplica runs a replica on a database until the test ends.
func startReplica(t *testing.T, address string) *replica {
	t.Helper()
	db, err := database.Open(t.Context(), func() (string, error) { return address, nil }, 5, postgres.Migrations)
	require.NoError(t, err)
	ledger := postgres.NewLedger(db)
	r := &replica{counter.NewCommitter(ledger), t, ledger, db}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		db.Close()
	})
	return r
}

// startOne runs a replica on a server of its own, through a proxy.
func startOne(t *testing.T) (*replica, *postgrestest.Server, *postgrestest.Proxy) {
	t.Helper()
	server := postgrestest.Start(t)
	proxy := postgrestest.NewProxy(t, server)
	r := startReplica(t, server.URLVia(proxy.Addr()))
	r.eventually(func() bool { return !r.Away() })
	return r, server, proxy
}

// add returns a text that only messages with a batch contain: the replica's name.
func add(t *testing.T) string {
	t.Helper()
	host, err := os.Hostname()
	require.NoError(t, err)
	return host + "/"
}

// send sends a ping in the background.
func (r *replica) send(ctx context.Context) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		number, err := r.Ping(ctx)
		done <- outcome{number, err}
	}()
	return done
}

func (r *replica) ping() int64 {
	r.t.Helper()
	number, err := r.Ping(r.t.Context())
	require.NoError(r.t, err)
	return number
}

func (r *replica) pings() int64 {
	r.t.Helper()
	pings, err := r.ledger.Pings(r.t.Context())
	require.NoError(r.t, err)
	return pings
}

// scan queries a number.
func (r *replica) scan(sql string) (number int) {
	r.t.Helper()
	conn, err := r.db.Acquire(r.t.Context())
	require.NoError(r.t, err)
	defer conn.Release()
	require.NoError(r.t, conn.QueryRow(r.t.Context(), sql).Scan(&number))
	return number
}

// outcome is the outcome of a ping.
type outcome struct {
	number int64
	err    error
}

// start sends a ping and returns when it waits in the queue.
func (r *replica) start(ctx context.Context) <-chan outcome {
	r.t.Helper()
	before := r.Waiting()
	done := r.send(ctx)
	r.eventually(func() bool { return r.Waiting() > before })
	return done
}

// abandon sends a ping. Its client gives up when the fault has struck.
func (r *replica) abandon(fault *postgrestest.Fault) {
	r.t.Helper()
	ctx, giveUp := context.WithCancel(r.t.Context())
	done := r.send(ctx)
	<-fault.Struck
	giveUp()
	assert.ErrorIs(r.t, (<-done).err, context.Canceled)
}

// block locks the counter's row and returns when a batch waits for it. Later pings wait in the queue.
func (r *replica) block(server *postgrestest.Server) (first <-chan outcome, release func()) {
	r.t.Helper()
	release = server.Lock("counter")
	first = r.send(context.Background())
	server.WaitForLock()
	return first, release
}

func (r *replica) eventually(condition func() bool) {
	r.t.Helper()
	require.Eventually(r.t, condition, patience, time.Millisecond)
}

package postgres_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/app/pingpong/counter"
)

func TestNumbersAreInTheOrderOfArrival(t *testing.T) {
	r, server, _ := startOne(t)
	first, release := r.block(server)
	var waiting []<-chan outcome
	for range 50 {
		waiting = append(waiting, r.start(t.Context()))
	}
	release()
	assert.Equal(t, outcome{number: 0}, <-first)
	for i, done := range waiting {
		assert.Equal(t, outcome{number: int64(i + 1)}, <-done)
	}
	assert.Equal(t, int64(51), r.pings())

	assert.Equal(t, 2, r.scan(`SELECT sequence FROM replica`), "those that waited are one batch")
}

func TestPingsThatWereGivenUpAreNotCounted(t *testing.T) {
	r, server, _ := startOne(t)
	first, release := r.block(server)
	ctx, giveUp := context.WithCancel(t.Context())
	var gone []<-chan outcome
	for range 10 {
		gone = append(gone, r.start(ctx))
	}
	stays := r.start(t.Context())
	giveUp()
	for _, done := range gone {
		assert.ErrorIs(t, (<-done).err, context.Canceled)
	}
	release()
	assert.Equal(t, outcome{number: 0}, <-first)
	assert.Equal(t, outcome{number: 1}, <-stays)
	assert.Equal(t, int64(2), r.pings())
}

func TestPingsAreRefusedWhenTheQueueIsFull(t *testing.T) {
	r, server, _ := startOne(t)
	first, release := r.block(server)
	done := make(chan outcome)
	const most = 1024
	for range most {
		go func() {
			number, err := r.Ping(context.Background())
			done <- outcome{number, err}
		}()
	}
	r.eventually(func() bool { return r.Waiting() == most })
	_, err := r.Ping(t.Context())
	assert.ErrorIs(t, err, counter.ErrBusy)
	release()
	assert.Equal(t, outcome{number: 0}, <-first)
	numbers := map[int64]bool{}
	for range most {
		o := <-done
		require.NoError(t, o.err)
		numbers[o.number] = true
	}
	assert.Len(t, numbers, most)
	assert.Equal(t, int64(most+1), r.pings())
}

func TestPingsAreRefusedWhileTheDatabaseIsAway(t *testing.T) {
	r, server, proxy := startOne(t)
	require.Equal(t, int64(0), r.ping())
	proxy.Away(true)
	// The first of them finds the connection cut, and waits to learn what became of it.
	first := make(chan outcome, 1)
	go func() {
		number, err := r.Ping(context.Background())
		first <- outcome{number, err}
	}()
	r.eventually(func() bool {
		if !r.Away() {
			return false
		}
		_, err := r.Ping(t.Context())
		return assert.ErrorIs(t, err, counter.ErrAway)
	})
	server.Kill()
	server.Restart()
	proxy.Away(false)
	assert.Equal(t, outcome{number: 1}, <-first)
	assert.Equal(t, int64(2), r.ping())
	assert.Equal(t, int64(3), r.pings())
}

func TestReplicasThatStartTogetherShareOneCount(t *testing.T) {
	server := postgrestest.Start(t)
	var replicas []*replica
	for range 4 {
		replicas = append(replicas, startReplica(t, server.URL()))
	}
	for i := range int64(20) {
		r := replicas[i%4]
		r.eventually(func() bool { return !r.Away() })
		assert.Equal(t, i, r.ping())
	}
}

func TestRowsOfReplicasThatAreGoneAreDeleted(t *testing.T) {
	r, server, _ := startOne(t)
	r.ping()
	server.Exec(`UPDATE replica SET added = added - interval '25 hours'`)
	next := startReplica(t, server.URL())
	next.eventually(func() bool { return !next.Away() })
	assert.Equal(t, 1, r.scan(`SELECT count(*) FROM replica`))
	// One that was only idle begins anew.
	assert.Equal(t, int64(1), r.ping())
	assert.Equal(t, int64(2), r.ping())
}

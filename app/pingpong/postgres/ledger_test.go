package postgres_test

import (
	"context"
	"fmt"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/database"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/app/pingpong/counter"
	"github.com/stateful-k3s/stateful-k3s/app/pingpong/postgres"
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

	assert.Equal(t, 2, r.scan(`SELECT sequence FROM replica`), "the pings that waited are one batch")
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
	const most = 1024
	var waiting []<-chan outcome
	for range most {
		waiting = append(waiting, r.send(context.Background()))
	}
	r.eventually(func() bool { return r.Waiting() == most })
	_, err := r.Ping(t.Context())
	assert.ErrorIs(t, err, counter.ErrBusy)
	release()
	assert.Equal(t, outcome{number: 0}, <-first)
	numbers := map[int64]bool{}
	for _, done := range waiting {
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
	// The first ping finds the connection cut, and waits to learn whether it was counted.
	first := r.send(context.Background())
	r.eventually(func() bool {
		if !r.Away() {
			return false
		}
		_, err := r.Ping(t.Context())
		return assert.ErrorIs(t, err, counter.ErrUnavailable)
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
	r, server, proxy := startOne(t)
	r.ping()
	begin := func(sessions int) {
		server.Exec(fmt.Sprintf(`SELECT setval(pg_get_serial_sequence('replica', 'epoch'), max(epoch) + %d)
			FROM replica`, sessions))
	}
	start := func() {
		t.Helper()
		next := startReplica(t, server.URL())
		next.eventually(func() bool { return !next.Away() })
	}
	server.Exec(`UPDATE replica SET added = now() - interval '1 year'`)
	begin(9_999)
	start()
	assert.Equal(t, 2, r.scan(`SELECT count(*) FROM replica`), "however long it was idle")
	start()
	assert.Equal(t, 2, r.scan(`SELECT count(*) FROM replica`), "the last two")
	// An idle replica gets a new row.
	assert.Equal(t, int64(1), r.ping())
	assert.Equal(t, int64(2), r.ping())
	begin(20_000)
	proxy.Cut()
	assert.Equal(t, int64(3), r.ping())
	assert.Equal(t, 3, r.scan(`SELECT max(sequence) FROM replica`), "its own row stays")
	assert.Equal(t, 1, r.scan(`SELECT count(*) FROM replica`))
}

// The tables of the version before are migrated while a process of that version still runs.
func TestMigrationCarriesOver(t *testing.T) {
	first, err := fs.ReadFile(postgres.Migrations, "migrations/00001_counter.sql")
	require.NoError(t, err)
	server := postgrestest.Start(t)
	before, err := database.Open(t.Context(), func() (string, error) { return server.URL(), nil }, 2,
		fstest.MapFS{"migrations/00001_counter.sql": {Data: first}})
	require.NoError(t, err)
	defer before.Close()
	require.Eventually(t, func() bool { return before.Ready(t.Context(), "SELECT FROM counter") == nil },
		patience,
		time.Millisecond)
	server.Exec(`UPDATE counter SET pings = 7; INSERT INTO replica VALUES ('old', 5, 3, 7), ('older', 2, 1, 4)`)

	r := startReplica(t, server.URL())
	r.eventually(func() bool { return !r.Away() })
	assert.Equal(t, int64(7), r.ping())
	assert.Equal(t, "old 5 3 7, older 2 1 4",
		server.Ask(`SELECT string_agg(concat_ws(' ', id, epoch, sequence, pings), ', ' ORDER BY id)
		FROM replica WHERE id LIKE 'old%'`))
	assert.Equal(t, 6, r.scan(`SELECT epoch FROM replica WHERE pings = 8`), "no epoch comes again")
	for _, id := range []string{"old", "late"} { // the statement of that version
		server.Exec(`INSERT INTO replica AS r (id) VALUES ('` + id + `')
			ON CONFLICT (id) DO UPDATE SET epoch = r.epoch + 1`)
	}
	assert.Equal(t, 6, r.scan(`SELECT epoch FROM replica WHERE id = 'old'`))
	assert.Greater(t, r.scan(`SELECT epoch FROM replica WHERE id = 'late'`), 6)
}

package database_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3/lock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/database"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
)

// patience is how long a test waits before it fails.
const patience = time.Minute

// open returns a database with a table of one row, the number 7.
func open(t *testing.T, server *postgrestest.Server) *database.Database {
	t.Helper()
	return openAt(t, func() (string, error) { return server.URL(), nil })
}

func openAt(t *testing.T, address database.Address) *database.Database {
	t.Helper()
	db, err := database.Open(t.Context(), address, 2, fstest.MapFS{
		"migrations/00001_first.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE first AS SELECT 6 AS number;")},
		"migrations/00002_second.sql": {Data: []byte("-- +goose Up\nUPDATE first SET number = number + 1;")},
	})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

const number = `SELECT number::text FROM first`

// ask returns the result of a query, once the tables are up to date.
func ask(t *testing.T, db *database.Database, sql string) (answer string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		conn, err := db.Acquire(t.Context())
		require.NoError(c, err)
		defer conn.Release()
		require.NoError(c, conn.QueryRow(t.Context(), sql).Scan(&answer))
	}, patience, 10*time.Millisecond)
	return answer
}

func TestCommitsAreDurableWhateverTheServerSays(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec(`ALTER ROLE app SET synchronous_commit = off`)
	assert.Equal(t, "on", ask(t, open(t, server), `SHOW synchronous_commit`))
}

// No connection is handed out before the tables exist, even if the database starts late.
func TestTablesComeFirst(t *testing.T) {
	server := postgrestest.Start(t)
	server.Kill()
	db := open(t, server)
	_, err := db.Acquire(t.Context())
	assert.EqualError(t, err, "the tables are not up to date yet")
	server.Restart()
	assert.Equal(t, "7", ask(t, db, number))
	assert.Equal(t, "7", ask(t, open(t, server), number), "in a second process, which has nothing to do")
}

// Two processes that made tables at the same time would disturb each other.
func TestTablesAreMadeByOneProcessAtATime(t *testing.T) {
	server := postgrestest.Start(t)
	other, err := pgx.Connect(t.Context(), server.URL())
	require.NoError(t, err)
	defer other.Close(context.WithoutCancel(t.Context()))
	exec := func(sql string, args ...any) {
		_, err := other.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	exec(`SELECT pg_advisory_lock($1)`, lock.DefaultLockID)
	db := open(t, server)
	require.Eventually(t, func() bool {
		var tries int
		err := other.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE pid <> pg_backend_pid() AND query LIKE '%pg_try_advisory_lock%'`).Scan(&tries)
		return err == nil && tries > 0
	}, patience, 10*time.Millisecond)
	var made *string
	require.NoError(t, other.QueryRow(t.Context(), `SELECT to_regclass('goose_db_version')::text`).Scan(&made))
	assert.Nil(t, made)
	exec(`SELECT pg_advisory_unlock($1)`, lock.DefaultLockID)
	assert.Equal(t, "7", ask(t, db, number))
}

// The volume was lost, and a server with an empty one answers at the same address.
func TestTablesAreMadeAgainInAnEmptyDatabase(t *testing.T) {
	var now atomic.Pointer[postgrestest.Server]
	now.Store(postgrestest.Start(t))
	db := openAt(t, func() (string, error) { return now.Load().URL(), nil })
	assert.Equal(t, "7", ask(t, db, number))
	now.Load().Kill()
	now.Store(postgrestest.Start(t))
	require.Eventually(t, func() bool { return db.Ready(t.Context(), number) == nil }, patience,
		10*time.Millisecond)
	assert.Equal(t, "7", ask(t, db, number), "ready means that the tables exist")
}

// The connections stay.
func TestTablesAreMadeAgainWhereSomebodyDroppedThem(t *testing.T) {
	server := postgrestest.Start(t)
	db := open(t, server)
	assert.Equal(t, "7", ask(t, db, number))
	server.Exec(`DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	require.Error(t, db.Ready(t.Context(), number))
	assert.Equal(t, "7", ask(t, db, number))
	require.NoError(t, db.Ready(t.Context(), number))
}

func TestABackupFromBeforeAMigrationIsBroughtUpToDate(t *testing.T) {
	server := postgrestest.Start(t)
	db := open(t, server)
	assert.Equal(t, "7", ask(t, db, number))
	server.Exec(`UPDATE first SET number = 41; DELETE FROM goose_db_version WHERE version_id = 2`)
	server.Kill()
	server.Restart()
	assert.Equal(t, "42", ask(t, db, number), "before a connection is handed out")
}

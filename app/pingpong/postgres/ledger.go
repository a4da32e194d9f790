// Package postgres keeps the count of pings in Postgres.
package postgres

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/stateful-k3s/stateful-k3s/app/internal/database"
	"github.com/stateful-k3s/stateful-k3s/app/pingpong/counter"
)

const (
	// timeout limits a statement.
	timeout = 5 * time.Second
	// keptSessions is how many sessions of others may start before the row of an idle process is deleted.
	keptSessions = 10_000
)

var (
	// Migrations make the ledger's tables.
	//
	//go:embed migrations/*.sql
	Migrations embed.FS

	batchSizes = promauto.NewHistogram(prometheus.HistogramOpts{
		Name:    "pingpong_batch_pings",
		Help:    "Pings that were added by one statement.",
		Buckets: prometheus.ExponentialBuckets(1, 2, 11),
	})
	batchDurations = promauto.NewHistogram(prometheus.HistogramOpts{
		Name:    "pingpong_batch_duration_seconds",
		Help:    "Time from sending a batch to its commit.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2, 12),
	})
	sessions = promauto.NewCounter(prometheus.CounterOpts{
		Name: "pingpong_sessions_total",
		Help: "Sessions opened; each but the first follows a lost one.",
	})
)

// Ledger is the ledger of one process.
type Ledger struct {
	db *database.Database
	id string
}

// NewLedger returns the ledger of a new replica. The database needs the Migrations.
func NewLedger(db *database.Database) *Ledger {
	host, _ := os.Hostname() // shows which pod it is
	return &Ledger{db: db, id: host + "/" + rand.Text()}
}

// Ready fails unless the database answers and has a count.
func (l *Ledger) Ready(ctx context.Context) error { return l.db.Ready(ctx, selectPings) }

const selectPings = `SELECT pings FROM counter`

// Pings returns the number of pings so far. A client that gives up does not cancel the query, because that
// would cost the connection.
func (l *Ledger) Pings(ctx context.Context) (pings int64, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	conn, err := l.db.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	if err := conn.QueryRow(ctx, selectPings).Scan(&pings); err != nil {
		return 0, fmt.Errorf("read the count: %w", err)
	}
	return pings, nil
}

// Open starts a session.
func (l *Ledger) Open(ctx context.Context) (counter.Session, counter.Batch, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := l.db.Acquire(ctx)
	if err != nil {
		return nil, counter.Batch{}, err
	}
	s := &session{conn: conn, id: l.id}
	batch, err := s.begin(ctx)
	if err != nil {
		s.Close()
		return nil, counter.Batch{}, fmt.Errorf("begin a session: %w", err)
	}
	sessions.Inc()
	return s, batch, nil
}

type session struct {
	conn  *pgxpool.Conn
	id    string
	epoch int64
}

// begin takes a new epoch. It waits for a statement of an earlier session that is still running; one that
// arrives later no longer finds its epoch. It also deletes the rows of processes that have gone. It counts
// sessions instead of time, because a process may be idle for days and clocks may jump, but so many sessions
// never start while a batch is in doubt.
func (s *session) begin(ctx context.Context) (batch counter.Batch, err error) {
	err = s.conn.QueryRow(ctx, `
		WITH begun AS (
			INSERT INTO replica (id) VALUES ($1)
			ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch
			RETURNING epoch, sequence, pings
		), forgotten AS (
			DELETE FROM replica USING begun WHERE replica.epoch < begun.epoch - $2 AND replica.id <> $1
		)
		SELECT epoch, sequence, pings FROM begun`, s.id, keptSessions).Scan(&s.epoch, &batch.Sequence, &batch.Count)
	return batch, err
}

// Add adds the pings if the session is still current and the batch is its next.
func (s *session) Add(ctx context.Context, sequence int64, pings int) (count int64, err error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = s.conn.QueryRow(ctx, `
		WITH mine AS (
			SELECT FROM replica WHERE id = $1 AND epoch = $2 AND sequence = $3 - 1 FOR UPDATE
		), total AS (
			UPDATE counter SET pings = pings + $4 WHERE EXISTS (SELECT FROM mine) RETURNING pings
		)
		UPDATE replica SET sequence = $3, pings = total.pings, added = now() FROM total WHERE id = $1
		RETURNING replica.pings`, s.id, s.epoch, sequence, pings).Scan(&count)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("add batch %d of epoch %d: another session has begun", sequence, s.epoch)
	}
	if err != nil {
		return 0, fmt.Errorf("add batch %d of epoch %d: %w", sequence, s.epoch, err)
	}
	batchSizes.Observe(float64(pings))
	batchDurations.Observe(time.Since(start).Seconds())
	return count, nil
}

// Close closes the connection too: after an error a statement may still be running on it.
func (s *session) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.conn.Conn().Close(ctx)
	s.conn.Release()
}

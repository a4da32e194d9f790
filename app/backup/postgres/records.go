package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// RestoreRequest asks for a restore. The ID tells it from an equal one; without an ID each request is a new
// one.
type RestoreRequest struct{ From, ID string }

// RestoreRecord is a restore that was done.
type RestoreRecord struct {
	From string
	At   time.Time
	// Fulfills says that it did what is requested now, and that the database is still the one it made.
	Fulfills bool
}

// createRecords makes the table of records, or brings it up to date. Without the lock, two sessions at a time
// would both find no table.
func createRecords(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('restores', 0));
		CREATE TABLE IF NOT EXISTS public.restores (database oid PRIMARY KEY, restore_from text NOT NULL,
			restored text NOT NULL, at timestamptz NOT NULL DEFAULT now());
		ALTER TABLE public.restores ADD COLUMN IF NOT EXISTS name text, ADD COLUMN IF NOT EXISTS request text`)
	return err
}

// LastRestore returns the last restore of a database of that name on this server; nil if there was none.
func (t *Target) LastRestore(ctx context.Context, request RestoreRequest) (*RestoreRecord, error) {
	var last RestoreRecord
	// Records older than the column fulfill all requests with the same From.
	err := t.conn.QueryRow(ctx, `
		SELECT restored, at, database = $1 AND restore_from = $3 AND coalesce(request, $4) = $4 AND $4 <> ''
		FROM public.restores WHERE database = $1 OR name = $2 ORDER BY at DESC LIMIT 1`,
		t.oid, t.Database, request.From, request.ID).Scan(&last.From, &last.At, &last.Fulfills)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &last, err
}

// record replaces the record of a database, and removes the records of databases that are gone.
func record(ctx context.Context, tx pgx.Tx, database string, request RestoreRequest, restored string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM public.restores
		WHERE name = $1 OR name IS NULL AND database NOT IN (SELECT oid FROM pg_database)`, database); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO public.restores (database, name, restore_from, request, restored)
		SELECT oid, datname, $2, $3, $4 FROM pg_database WHERE datname = $1`,
		database, request.From, request.ID, restored)
	return err
}

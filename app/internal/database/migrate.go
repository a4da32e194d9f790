package database

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

const (
	migrateTimeout = time.Minute
	migratePause   = 200 * time.Millisecond
)

// newest is the version of the last of the SQL files.
func newest(files fs.FS) (version int64, err error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		number, err := goose.NumericComponent(path.Base(name))
		if err != nil {
			return 0, err
		}
		version = max(version, number)
	}
	return version, nil
}

// keepUpToDate runs the migrations whenever the database is known to lack some, and tries again until that
// works, until ctx ends. Why it cannot is logged when that begins or changes, not with each attempt.
func (d *Database) keepUpToDate(ctx context.Context, files fs.FS) {
	trouble := ""
	for {
		if !d.upToDate.Load() {
			err := migrate(ctx, d.pool, files)
			switch {
			case err == nil:
				d.upToDate.Store(true)
				trouble = ""
				slog.Info("the tables are up to date")
			case ctx.Err() == nil && err.Error() != trouble:
				trouble = err.Error()
				slog.Warn("waiting for the database", "error", err)
			}
		}
		select {
		case <-time.After(migratePause):
		case <-ctx.Done():
			return
		}
	}
}

// migrate runs those SQL files that the database has not seen yet. Of processes that start together, one does
// it while the others wait.
func migrate(ctx context.Context, pool *pgxpool.Pool, files fs.FS) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	const period, attempts = 1, 60 // seconds, times
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(period, attempts))
	if err != nil {
		return fmt.Errorf("prepare the lock of migrations: %w", err)
	}
	// It remembers that its own table is there, which is true of one database only.
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

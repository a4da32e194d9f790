package database

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
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

// migrate brings the tables up to date, and tries again until it works or ctx ends. Why it cannot is logged when that
// begins or changes, not with each attempt.
func (d *Database) migrate(ctx context.Context, files fs.FS) {
	trouble := ""
	for {
		err := migrate(ctx, d.pool, files)
		if err == nil {
			d.migrated.Store(true)
			slog.Info("the tables are up to date")
			return
		}
		if ctx.Err() != nil {
			return
		}
		if err.Error() != trouble {
			slog.Warn("waiting for the database", "error", err)
			trouble = err.Error()
		}
		select {
		case <-time.After(migratePause):
		case <-ctx.Done():
			return
		}
	}
}

// migrate runs those SQL files that the database has not seen yet. Of processes that start together, one does it while the others wait.
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
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

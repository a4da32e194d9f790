package database

import (
	"context"
	"errors"
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

// newest returns the version of the newest SQL file.
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

// keepUpToDate runs migrations whenever upToDate is false, and retries until they succeed or ctx ends. It
// logs the reason of a failure when it changes, not with each attempt.
func (d *Database) keepUpToDate(ctx context.Context, files fs.FS) {
	reason := ""
	for {
		if !d.upToDate.Load() {
			err := migrate(ctx, d.pool, files)
			switch {
			case err == nil:
				d.upToDate.Store(true)
				reason = ""
				slog.Info("the tables are up to date")
			case ctx.Err() == nil && err.Error() != reason:
				reason = err.Error()
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

// migrate runs the SQL files that the database lacks. Of several processes, one does it while the others
// wait.
func migrate(ctx context.Context, pool *pgxpool.Pool, files fs.FS) (err error) {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	const period, attempts = 1, 60 // seconds, times
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(period, attempts))
	if err != nil {
		return fmt.Errorf("prepare the lock of migrations: %w", err)
	}
	// A provider with the locker would make goose's own table before it takes the lock.
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect for the lock of migrations: %w", err)
	}
	defer conn.Close()
	if err := locker.SessionLock(ctx, conn); err != nil {
		return fmt.Errorf("take the lock of migrations: %w", err)
	}
	defer func() { err = errors.Join(err, locker.SessionUnlock(context.WithoutCancel(ctx), conn)) }()
	// A provider caches that goose's own table exists, so one cannot serve a database that may be replaced.
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

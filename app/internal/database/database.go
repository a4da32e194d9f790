// Package database connects apps to Postgres, and brings its tables up to date.
package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/pgxpoolprometheus"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stateful-k3s/stateful-k3s/app/internal/requestid"
)

const (
	connectTimeout = 5 * time.Second
	// readyTimeout is shorter than the 5 s that a probe waits.
	readyTimeout = 3 * time.Second
	// statementTimeout makes Postgres itself cancel the statement of a client that is gone.
	statementTimeout = "20s"
	// undefinedTable is from https://www.postgresql.org/docs/17/errcodes-appendix.html.
	undefinedTable = "42P01"
)

var errOutdated = errors.New("the tables are not up to date yet")

// Address returns the URL of a database. It is called again for every new connection.
type Address func() (string, error)

// Database is a pool of connections. It migrates the tables in the background before it hands out the first
// connection, and again if the database is replaced: by an empty one after the volume was lost, or by an
// older backup.
type Database struct {
	pool *pgxpool.Pool
	// newest is the version of the newest migration.
	newest   int64
	upToDate atomic.Bool
	close    func()
}

// Open returns a pool of at most maxConns connections, and at least 2: migrations need one for their lock. By
// default a Postgres server has 100 for all of its clients. Open connects in the background, to run the SQL
// files in the folder "migrations" that the database lacks, and retries until that works. It fails if the
// address is invalid; no error shows the password. Every commit waits until it is on disk, even if the
// server's default is not to wait. While requests are logged, the ID of a request is its connection's
// application_name.
func Open(ctx context.Context, address Address, maxConns int32, migrations fs.FS) (*Database, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("find migrations: %w", err)
	}
	config, err := parse(address)
	if err != nil {
		return nil, err
	}
	config.MaxConns = maxConns
	config.BeforeConnect = func(_ context.Context, connection *pgx.ConnConfig) error {
		fresh, err := parse(address)
		if err == nil {
			*connection = *fresh.ConnConfig
		}
		return err
	}
	d := &Database{}
	if d.newest, err = newest(files); err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if err := d.check(ctx, conn); !errors.Is(err, errOutdated) { // migrations need a connection too
			return err
		}
		return nil
	}
	config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		id := requestid.From(ctx)
		if id == "" {
			return true, nil
		}
		// A comment in each statement would keep statements from being prepared once.
		_, err := conn.Exec(ctx, `SELECT set_config('application_name', $1, false)`, id)
		return err == nil, nil // without it, the next connection is tried
	}
	if d.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	migrating, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { d.keepUpToDate(migrating, files) })
	d.close = func() {
		stop()
		background.Wait()
		d.pool.Close()
	}
	return d, nil
}

// Metrics returns the metrics of the pool.
func (d *Database) Metrics() prometheus.Collector { return pgxpoolprometheus.NewCollector(d.pool, nil) }

// Close waits until all connections are released.
func (d *Database) Close() { d.close() }

// Acquire returns a connection, which the caller must release. It fails until the tables are up to date.
func (d *Database) Acquire(ctx context.Context) (*pgxpool.Conn, error) {
	if !d.upToDate.Load() {
		return nil, errOutdated
	}
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	if !d.upToDate.Load() { // a new connection may have found that
		conn.Release()
		return nil, errOutdated
	}
	return conn, nil
}

// Ready fails unless the database answers, its migrations are complete and a query of the app's tables works.
// If migrations are missing, they are about to run.
func (d *Database) Ready(ctx context.Context, query string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	conn, err := d.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if err := d.check(ctx, conn.Conn()); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, query)
	return err
}

// check fails if migrations are missing, and makes them run.
func (d *Database) check(ctx context.Context, conn *pgx.Conn) error {
	var version int64
	const query = `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`
	err := conn.QueryRow(ctx, query).Scan(&version)
	answer, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case ok && answer.Code == undefinedTable, err == nil && version < d.newest:
		d.upToDate.Store(false)
		return errOutdated
	case err != nil:
		return fmt.Errorf("read the version of the tables: %w", err)
	}
	return nil
}

func parse(address Address) (*pgxpool.Config, error) {
	url, err := address()
	if err != nil {
		return nil, fmt.Errorf("find the address of the database: %w", err)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the address of the database: %w", err)
	}
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.ConnConfig.RuntimeParams["synchronous_commit"] = "on"
	config.ConnConfig.RuntimeParams["statement_timeout"] = statementTimeout
	return config, nil
}

// Package database connects apps to Postgres, and brings its tables up to date.
package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	connectTimeout = 5 * time.Second
	// statementTimeout is when Postgres itself gives up a statement, should nobody wait for it any more.
	statementTimeout = "20s"
	// undefinedTable is what Postgres calls it. Source:
	// https://www.postgresql.org/docs/17/errcodes-appendix.html
	undefinedTable = "42P01"
)

var errOutdated = errors.New("the tables are not up to date yet")

// Address returns the URL of a database, and is asked again for every new connection.
type Address func() (string, error)

// Environment is the address that $URL holds, or else the file that $URL_FILE names: a new password in that
// file is used from the next connection on.
func Environment() (string, error) {
	if url := os.Getenv("URL"); url != "" {
		return url, nil
	}
	file := os.Getenv("URL_FILE")
	if file == "" {
		return "", errors.New("neither URL nor URL_FILE is set; for example: URL=postgres://user:password@localhost/database")
	}
	url, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read URL_FILE: %w", err)
	}
	return strings.TrimSpace(string(url)), nil
}

// Database is a pool of connections. Its tables are brought up to date in the background before anybody gets
// one, and again when the database turns out to be another: an empty one, since the volume was lost, or one
// that was restored from an older backup.
type Database struct {
	pool *pgxpool.Pool
	// newest is the version of the last migration.
	newest   int64
	upToDate atomic.Bool
	close    func()
}

// Open connects when there is something to do: first to run the SQL files in the folder "migrations" that the
// database has not seen yet, which goes on until it works. Connections is how many there are at most;
// Postgres gives each a process of its own, and 100 to all clients together by default. Open fails if the
// address is none; no error shows the password. Every commit waits until it is on the disk, whatever the
// server's own setting.
func Open(ctx context.Context, address Address, connections int32, migrations fs.FS) (*Database, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("find migrations: %w", err)
	}
	config, err := parse(address)
	if err != nil {
		return nil, err
	}
	config.MaxConns = connections
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

// Close waits until all connections are given back.
func (d *Database) Close() { d.close() }

// Acquire returns a connection, which has to be released. It fails as long as the tables are not up to date.
func (d *Database) Acquire(ctx context.Context) (*pgxpool.Conn, error) {
	if !d.upToDate.Load() {
		return nil, errOutdated
	}
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	if !d.upToDate.Load() { // as a new connection has found
		conn.Release()
		return nil, errOutdated
	}
	return conn, nil
}

// Ready fails unless the database answers and its tables are up to date. If they are not, they will be.
func (d *Database) Ready(ctx context.Context) error {
	conn, err := d.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return d.check(ctx, conn.Conn())
}

// check has the migrations run that the database lacks, and fails if there are any.
func (d *Database) check(ctx context.Context, conn *pgx.Conn) error {
	var version int64
	err := conn.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	answer, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case ok && answer.Code == undefinedTable, err == nil && version < d.newest:
		d.upToDate.Store(false)
		return errOutdated
	case err != nil:
		return fmt.Errorf("look which migrations the database has: %w", err)
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

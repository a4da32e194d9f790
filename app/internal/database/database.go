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
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	connectTimeout = 5 * time.Second
	// statementTimeout is when Postgres itself gives up a statement, should nobody wait for it any more.
	statementTimeout = "20s"
)

// Address returns the URL of a database, and is asked again for every new connection.
type Address func() (string, error)

// Environment is the address that $URL holds, or else the file that $URL_FILE names: a new password in that file
// is used from the next connection on.
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

// Database is a pool of connections. Its tables are brought up to date in the background, before anybody gets one.
type Database struct {
	pool     *pgxpool.Pool
	migrated atomic.Bool
	close    func()
}

// Open connects when there is something to do: first to run the SQL files in the folder "migrations" that the database has not
// seen yet, which goes on until it works. Connections is how many there are at most; Postgres gives each a process of its own,
// and 100 to all clients together by default. Open fails if the address is none; no error shows the password. Every commit
// waits until it is on the disk, whatever the server's own setting.
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
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	d := &Database{pool: pool}
	migrating, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { d.migrate(migrating, files) })
	d.close = func() {
		stop()
		background.Wait()
		pool.Close()
	}
	return d, nil
}

// Close waits until all connections are given back.
func (d *Database) Close() { d.close() }

// Acquire returns a connection, which has to be released. It fails as long as the tables are not up to date.
func (d *Database) Acquire(ctx context.Context) (*pgxpool.Conn, error) {
	if !d.migrated.Load() {
		return nil, errors.New("the tables are not up to date yet")
	}
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return conn, nil
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

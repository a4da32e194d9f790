// Package database connects apps to Postgres, and brings its tables up to date.
package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

const (
	// maxConnections of one process. Postgres gives each a process of its own, and 100 to all clients together by default.
	maxConnections = 5
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

// Open returns a pool of connections, which it does not make yet. It fails if the address is none; no error
// shows the password. Every commit waits until it is on the disk, whatever the server's own setting.
func Open(ctx context.Context, address Address) (*pgxpool.Pool, error) {
	config, err := parse(address)
	if err != nil {
		return nil, err
	}
	config.MaxConns = maxConnections
	config.BeforeConnect = func(_ context.Context, connection *pgx.ConnConfig) error {
		fresh, err := parse(address)
		if err == nil {
			*connection = *fresh.ConnConfig
		}
		return err
	}
	return pgxpool.NewWithConfig(ctx, config)
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

// Migrate runs those SQL files that the database has not seen yet. Of processes that start together, one does it while the others wait.
func Migrate(ctx context.Context, pool *pgxpool.Pool, files fs.FS) error {
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

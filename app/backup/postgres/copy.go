package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stateful-k3s/stateful-k3s/app/backup/archive"
)

const (
	superuser  = "postgres"
	startTime  = time.Minute
	startPause = 20 * time.Millisecond
)

// throwaway are parameters of a server that nobody else reaches, and whose data need not outlive it.
var throwaway = map[string]string{
	"listen_addresses": "", "port": "5432", "max_connections": "10", "unix_socket_permissions": "0700",
	"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "wal_level": "minimal", "max_wal_senders": "0",
	"autovacuum": "off", "shared_buffers": "32MB", "max_wal_size": "1GB", "max_locks_per_transaction": "1024",
	"dynamic_shared_memory_type": "mmap", // which needs no /dev/shm
	"logging_collector":          "off",
}

// Copy is a Postgres server of its own, for what was restored.
type Copy struct {
	dir  string
	cmd  *exec.Cmd
	said *tail
	done chan struct{}
}

// NewCopy starts an empty server with its data in a new folder below dir. It ends with ctx.
func NewCopy(ctx context.Context, dir string) (*Copy, error) {
	dir, err := os.MkdirTemp(dir, "copy-")
	if err != nil {
		return nil, err
	}
	c := &Copy{dir: dir}
	_, err = output(ctx, nil, "initdb", "--pgdata="+c.Data(), "--username="+superuser, "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
	if err == nil {
		err = c.start(ctx, startTime, nil)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Data is the server's data directory.
func (c *Copy) Data() string { return filepath.Join(c.dir, "data") }

// start returns when the server takes connections, which has to be within a time; 0 is as long as ctx.
func (c *Copy) start(ctx context.Context, limit time.Duration, environment []string, parameters ...string) error {
	args := []string{"-D", c.Data(), "-k", c.dir}
	for name, value := range throwaway {
		args = append(args, "-c", name+"="+value)
	}
	for _, parameter := range parameters {
		args = append(args, "-c", parameter)
	}
	c.cmd, c.said = program(ctx, environment, "postgres", args...)
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGQUIT) } // at once, its children too
	c.done = make(chan struct{})
	if err := c.cmd.Start(); err != nil {
		return err
	}
	var ended error
	go func() {
		ended = c.cmd.Wait()
		close(c.done)
	}()
	for deadline := time.Now().Add(limit); ; time.Sleep(startPause) {
		conn, err := c.connect(ctx, superuser)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-c.done:
			return failure(ctx, c.cmd, c.said, errors.Join(errors.New("it does not start"), ended))
		default:
		}
		if limit != 0 && time.Now().After(deadline) {
			return failure(ctx, c.cmd, c.said, fmt.Errorf("it does not start: %w", err))
		}
	}
}

// Restore makes the database that a dump holds, with roles that it needs, and reads the dump no further than it has to. Arguments are
// those of pg_restore.
func (c *Copy) Restore(ctx context.Context, roles []string, dump io.Reader, args ...string) error {
	conn, err := c.connect(ctx, superuser)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, role := range roles {
		if role == superuser {
			continue
		}
		if _, err := conn.Exec(ctx, "CREATE ROLE "+pgx.Identifier{role}.Sanitize()); err != nil {
			return fmt.Errorf("create role %s: %w", role, err)
		}
	}
	// All in one transaction as long as it has fewer objects: rows of a new table then need no entry in the log.
	cmd, said := program(ctx, c.environment("template1"), "pg_restore", append(args,
		"--dbname=template1", "--create", "--clean", "--if-exists", "--no-tablespaces", "--exit-on-error", "--transaction-size=10000")...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	// Not by cmd itself, which would take a dump that cannot be read for one that ends.
	_, copyErr := io.Copy(in, dump)
	if errors.Is(copyErr, syscall.EPIPE) {
		copyErr = nil // it says itself why it reads no further
	}
	if copyErr != nil {
		_ = cmd.Process.Kill()
	}
	_ = in.Close()
	err = failure(ctx, cmd, said, cmd.Wait())
	if copyErr != nil {
		return copyErr
	}
	return err
}

// Content is that of the restored database.
func (c *Copy) Content(ctx context.Context, database string) (archive.Content, error) {
	connect := func(ctx context.Context) (*pgx.Conn, error) { return c.connect(ctx, database) }
	return recordAlone(ctx, connect, "", c.environment(database))
}

// Close ends the server and removes its data.
func (c *Copy) Close() error {
	if c.done != nil {
		_ = c.cmd.Process.Signal(syscall.SIGQUIT) // it may have ended
		select {
		case <-c.done:
		case <-time.After(stopTime):
			slog.Warn("the throwaway server does not end", "log", c.said.String())
			_ = c.cmd.Process.Kill()
		}
	}
	return os.RemoveAll(c.dir)
}

func (c *Copy) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("")
	if err != nil {
		return nil, err
	}
	config.Host, config.Port, config.User, config.Database, config.TLSConfig, config.Fallbacks = c.dir, 5432, superuser, database, nil, nil
	for name, value := range uniform {
		config.RuntimeParams[name] = value
	}
	return pgx.ConnectConfig(ctx, config)
}

func (c *Copy) environment(database string) []string {
	return []string{"PGHOST=" + c.dir, "PGPORT=5432", "PGUSER=" + superuser, "PGDATABASE=" + database}
}

package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
)

const (
	startTime  = time.Minute
	startPause = 20 * time.Millisecond
)

// regardless replaces settings of a database or a role that would keep it from being restored or read.
var regardless = map[string]string{
	"default_transaction_read_only": "off", "role": "none", "session_replication_role": "origin",
	"lc_messages": "C", "session_preload_libraries": "", "local_preload_libraries": "",
}

// ScratchServer is a Postgres server of its own, for what was restored. Another process runs it, by Serve, in a folder
// that both see.
type ScratchServer struct {
	dir  string
	conn *net.UnixConn // as long as the server runs
	log  *http.Server  // nil for a new server
	// done is closed when the server has ended, for that reason.
	done  chan struct{}
	ended error
}

// StartScratch starts an empty server with its data in a new folder in the shared one. It ends with ctx.
func StartScratch(ctx context.Context, shared string) (*ScratchServer, error) {
	c, err := newScratch(shared)
	if err != nil {
		return nil, err
	}
	if err := c.start(ctx, order{New: true}); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func newScratch(shared string) (*ScratchServer, error) {
	if shared == "" {
		return nil, fmt.Errorf("%w: there is no folder for it: let SERVER_DIR name the one in which `backup server` runs", ErrPermanent)
	}
	dir, err := os.MkdirTemp(shared, "copy-")
	return &ScratchServer{dir: dir}, err
}

// start returns when the server takes connections.
func (c *ScratchServer) start(ctx context.Context, o order) (err error) {
	shared, folder := filepath.Split(c.dir)
	o.Folder = folder
	conn, err := reach(ctx, filepath.Join(shared, control))
	if err != nil {
		return fmt.Errorf("reach what runs it: %w", err)
	}
	c.conn = conn
	context.AfterFunc(ctx, func() { _ = conn.CloseWrite() })
	c.done = make(chan struct{})
	if err := json.NewEncoder(c.conn).Encode(o); err != nil {
		close(c.done)
		return err
	}
	go func() {
		defer close(c.done)
		var why end
		if c.ended = json.NewDecoder(c.conn).Decode(&why); c.ended == nil {
			c.ended = errors.New(why.Error)
		}
	}()
	for ; ; time.Sleep(startPause) {
		conn, err := c.connect(ctx, superuser)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-c.done:
			_ = c.conn.Close()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("it does not start: %w", c.ended)
		default:
		}
	}
}

// reach connects to a socket, which may come a moment later.
func reach(ctx context.Context, path string) (*net.UnixConn, error) {
	for deadline := time.Now().Add(startTime); ; time.Sleep(startPause) {
		conn, err := new(net.Dialer).DialUnix(ctx, "unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
		switch {
		case err == nil:
			return conn, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case time.Now().After(deadline):
			return nil, err
		}
	}
}

// Restore makes the database that a dump holds, with roles that it needs, and reads the dump no further than
// it has to. Arguments are those of pg_restore.
func (c *ScratchServer) Restore(ctx context.Context, roles []string, dump io.Reader, args ...string) error {
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
		"--dbname=template1", "--create", "--clean", "--if-exists", "--no-tablespaces", "--exit-on-error",
		"--transaction-size=10000")...)
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
	return withWayOut(err)
}

// Content is that of the restored database.
func (c *ScratchServer) Content(ctx context.Context, database string) (manifest.Content, error) {
	connect := func(ctx context.Context) (*pgx.Conn, error) { return c.connect(ctx, database) }
	return recordAlone(ctx, connect, "", c.environment(database))
}

// Close ends the server and removes its data.
func (c *ScratchServer) Close() error {
	if c.conn != nil {
		_ = c.conn.CloseWrite() // it may have ended
		select {
		case <-c.done:
		case <-time.After(2 * stopTime):
			slog.Warn("the throwaway server does not end")
		}
		_ = c.conn.Close()
	}
	if c.log != nil {
		_ = c.log.Close()
	}
	return os.RemoveAll(c.dir)
}

func (c *ScratchServer) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("")
	if err != nil {
		return nil, err
	}
	config.Host, config.Port, config.User, config.Database, config.TLSConfig, config.Fallbacks = c.dir, 5432,
		superuser, database, nil, nil
	maps.Copy(config.RuntimeParams, uniform)
	maps.Copy(config.RuntimeParams, regardless)
	return connect(ctx, config)
}

func (c *ScratchServer) environment(database string) []string {
	environment := []string{"PGHOST=" + c.dir, "PGPORT=5432", "PGUSER=" + superuser, "PGDATABASE=" + database}
	return withOptions(environment, regardless)
}

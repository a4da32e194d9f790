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
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
)

const (
	startTimeout = time.Minute
	startPause   = 20 * time.Millisecond
)

// overrides replace settings of a database or a role that would keep it from being restored or read.
var overrides = map[string]string{
	"default_transaction_read_only": "off", "role": "none", "session_replication_role": "origin",
	"lc_messages": "C", "session_preload_libraries": "", "local_preload_libraries": "",
}

// ScratchServer is a temporary Postgres server to restore into. Another process runs it with Serve, in a
// folder that both see.
type ScratchServer struct {
	dir      string
	conn     *net.UnixConn  // to Serve, open while the server runs
	segments *segmentServer // nil for a new server
	// done is closed when the server has ended. Then exitErr says why.
	done    chan struct{}
	exitErr error
}

// StartScratch starts an empty server in a new folder in the shared one. It ends with ctx.
func StartScratch(ctx context.Context, shared string) (*ScratchServer, error) {
	s, err := newScratch(shared)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx, startRequest{New: true}); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func newScratch(shared string) (*ScratchServer, error) {
	if shared == "" {
		return nil, fmt.Errorf(
			"%w: there is no folder for it: let SERVER_DIR name the one in which `backup server` runs", ErrPermanent)
	}
	dir, err := os.MkdirTemp(shared, "copy-")
	return &ScratchServer{dir: dir}, err
}

// start returns when the server accepts connections.
func (s *ScratchServer) start(ctx context.Context, request startRequest) (err error) {
	shared, folder := filepath.Split(s.dir)
	request.Folder = folder
	conn, err := dialSocket(ctx, filepath.Join(shared, controlSocket))
	if err != nil {
		return fmt.Errorf("connect to the process that runs it: %w", err)
	}
	s.conn = conn
	context.AfterFunc(ctx, func() { _ = conn.CloseWrite() })
	s.done = make(chan struct{})
	if err := json.NewEncoder(s.conn).Encode(request); err != nil {
		close(s.done)
		return err
	}
	go func() {
		defer close(s.done)
		var why exit
		if s.exitErr = json.NewDecoder(s.conn).Decode(&why); s.exitErr == nil {
			s.exitErr = errors.New(why.Error)
		}
	}()
	for ; ; time.Sleep(startPause) {
		conn, err := s.connect(ctx, superuser)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.done:
			_ = s.conn.Close()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("it does not start: %w", s.exitErr)
		default:
		}
	}
}

// dialSocket connects to a socket that may appear a moment later.
func dialSocket(ctx context.Context, path string) (*net.UnixConn, error) {
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(startPause) {
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

// Restore makes the database in a dump, and the roles that it needs. It reads the dump no further than it has
// to. Arguments are for pg_restore.
func (s *ScratchServer) Restore(ctx context.Context, roles []string, dump io.Reader, args ...string) error {
	conn, err := s.connect(ctx, superuser)
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
	// Rows of a table that was made in the same transaction need no log. A dump with fewer objects is restored
	// in one.
	cmd, stderr := command(ctx, s.environment("template1"), "pg_restore", append(args,
		"--dbname=template1", "--create", "--clean", "--if-exists", "--no-tablespaces", "--exit-on-error",
		"--transaction-size=10000")...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	// cmd.Stdin would turn a read error into the end of the dump.
	_, copyErr := io.Copy(in, dump)
	if errors.Is(copyErr, syscall.EPIPE) {
		copyErr = nil // pg_restore itself says why it reads no further
	}
	if copyErr != nil {
		_ = cmd.Process.Kill()
	}
	_ = in.Close()
	err = commandError(ctx, cmd, stderr, cmd.Wait())
	if copyErr != nil {
		return copyErr
	}
	return withRemedy(err)
}

// Content returns the content of the restored database.
func (s *ScratchServer) Content(ctx context.Context, database string) (manifest.Content, error) {
	connect := func(ctx context.Context) (*pgx.Conn, error) { return s.connect(ctx, database) }
	return readExclusive(ctx, connect, "", s.environment(database))
}

// Close ends the server and removes its data.
func (s *ScratchServer) Close() error {
	if s.conn != nil {
		_ = s.conn.CloseWrite() // it may have ended
		select {
		case <-s.done:
		case <-time.After(2 * stopTimeout):
			slog.Warn("the throwaway server does not end")
		}
		_ = s.conn.Close()
	}
	if s.segments != nil {
		_ = s.segments.Close()
	}
	return os.RemoveAll(s.dir)
}

func (s *ScratchServer) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("")
	if err != nil {
		return nil, err
	}
	config.Host, config.Port, config.User, config.Database = s.dir, 5432, superuser, database
	config.TLSConfig, config.Fallbacks = nil, nil
	maps.Copy(config.RuntimeParams, canonical)
	maps.Copy(config.RuntimeParams, overrides)
	return connect(ctx, config)
}

func (s *ScratchServer) environment(database string) []string {
	return withParameters([]string{"PGHOST=" + s.dir, "PGPORT=5432", "PGUSER=" + superuser,
		"PGDATABASE=" + database}, overrides)
}

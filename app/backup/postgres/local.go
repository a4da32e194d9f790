package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// LocalServer is a server that runs on a volume while nobody outside of the pod can reach it.
type LocalServer struct {
	socketDir string
	cmd       *exec.Cmd
	// done gets the error when the server has ended.
	done chan error
}

// localParameters win over the configuration's. What a server adds to its log is archived when it runs as
// ever.
var localParameters = map[string]string{
	"listen_addresses": "", "ssl": "off", "archive_command": "", "unix_socket_permissions": "0700",
	"log_statement": "none", "log_min_duration_statement": "-1", "log_min_error_statement": "panic",
}

// StartLocal starts a server on data, with a configuration file, and returns when it accepts connections. A
// pod that was deleted by force may still use the volume, so the caller has its lock.
func StartLocal(ctx context.Context, data, configuration, socketDir string) (*LocalServer, error) {
	// Their number may belong to another process of this container. The caller's lock says that no server runs.
	for _, stale := range []string{filepath.Join(data, "postmaster.pid"),
		filepath.Join(socketDir, ".s.PGSQL.5432.lock")} {
		if err := os.Remove(stale); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	args := []string{"-D", data, "-k", socketDir, "-c", "config_file=" + configuration,
		"-c", "data_directory=" + data}
	for _, name := range slices.Sorted(maps.Keys(localParameters)) {
		args = append(args, "-c", name+"="+localParameters[name])
	}
	cmd, stderr := command(ctx, nil, "postgres", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) } // a fast shutdown
	cmd.WaitDelay = 0
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &LocalServer{socketDir: socketDir, cmd: cmd, done: make(chan error, 1)}
	go func() { s.done <- commandError(ctx, cmd, stderr, cmd.Wait()) }()
	for ; ; time.Sleep(startPause) {
		l, err := parseLogin(s.URL(superuser))
		if err != nil {
			return nil, err
		}
		conn, err := l.connect(ctx)
		if err == nil {
			return s, conn.Close(ctx)
		}
		select {
		case err := <-s.done:
			return nil, fmt.Errorf("the server on %s does not start: %w", data, err)
		default:
		}
	}
}

// URL returns the address of a database of the server, for its superuser.
func (s *LocalServer) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database,
		RawQuery: url.Values{"host": {s.socketDir}}.Encode()}
	return u.String()
}

// Stop stops the server, which then has everything on the disk.
func (s *LocalServer) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	return <-s.done
}

// Roles returns statements that make the server's roles, with their passwords, settings and memberships. For
// the roles in except they only set settings and memberships.
func (s *LocalServer) Roles(ctx context.Context, except ...string) (string, error) {
	statements, err := output(ctx, nil, "pg_dumpall", "--roles-only", "--dbname="+s.URL(superuser))
	if err != nil {
		return "", err
	}
	var kept []string
	for line := range strings.Lines(string(statements)) {
		role := roleStatement.FindStringSubmatch(line)
		switch {
		case role != nil && slices.Contains(except, strings.Trim(role[2], `"`)):
		case role != nil && role[1] == "CREATE":
			kept = append(kept, fmt.Sprintf(createRole, role[2]))
		default:
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, ""), nil
}

var roleStatement = regexp.MustCompile(`^(CREATE|ALTER) ROLE ("(?:[^"]|"")+"|\w+)(?:;\s*$| WITH )`)

// createRole makes a role that an interrupted attempt may have made.
const createRole = `DO $do$ BEGIN IF to_regrole($q$%[1]s$q$) IS NULL THEN CREATE ROLE %[1]s; END IF; END $do$;
`

// MakeRoles makes the roles.
func (s *LocalServer) MakeRoles(ctx context.Context, statements string) error {
	cmd, stderr := command(ctx, nil, "psql", s.URL(superuser), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1")
	cmd.Stdin = strings.NewReader(statements)
	return commandError(ctx, cmd, stderr, cmd.Run())
}

// Analyze gives the planner its statistics of a database.
func (s *LocalServer) Analyze(ctx context.Context, database string) error {
	l, err := parseLogin(s.URL(database))
	if err != nil {
		return err
	}
	l.superuser = true
	l.config.RuntimeParams["event_triggers"] = "off"
	conn, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "ANALYZE")
	return err
}

// State identifies the state of a stopped server's data: it changes whenever a server runs on it.
func State(ctx context.Context, data string) (string, error) {
	printed, err := output(ctx, nil, "pg_controldata", "--pgdata="+data)
	if err != nil {
		return "", err
	}
	lines := stateLines.FindAllString(string(printed), -1)
	if len(lines) != 2 {
		return "", fmt.Errorf("pg_controldata prints something unknown: %q", printed)
	}
	return strings.Join(lines, "\n"), nil
}

var stateLines = regexp.MustCompile(`(?m)^(?:Database system identifier|Latest checkpoint location): .*$`)

// Lock takes the lock of a volume, which each server holds while it runs. It is held until this program ends.
func Lock(ctx context.Context, volume string) error {
	file, err := os.OpenFile(filepath.Join(volume, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(lockPause) {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			held = append(held, file)
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline):
			return fmt.Errorf("another pod still runs on the volume %s: delete it, or wait until it is gone: %w",
				volume, err)
		}
		slog.Debug("waiting for the lock", "volume", volume)
	}
}

const lockPause = 100 * time.Millisecond

// held keeps locked files from being closed.
var held []*os.File

// Package postgrestest runs real Postgres servers for tests.
package postgrestest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/freeport"
)

const (
	patience = 5 * time.Minute
	// nobody runs the server if the tests run as root, since Postgres refuses to.
	nobody = 65534
)

// Server is a Postgres server that wants passwords. Its own Login owns the database.
type Server struct {
	*Login
	t              testing.TB
	port, database string
	dir            string // as the server sees it
	command        func(program string, args ...string) *exec.Cmd
	settings       []string
	environment    []string
	certificate    string // as the server sees it
	process        *exec.Cmd
}

// Start starts a server of the machine with an empty database. It ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "postgres-") // a user other than root can reach it, unlike t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(dir, nobody, nobody))
	}
	secret := filepath.Join(dir, "password")
	require.NoError(t, os.WriteFile(secret, []byte(firstPassword), 0o644))
	s := &Server{t: t, port: freeport.Find(t), database: "postgres", dir: dir}
	s.Login = s.As("app")
	bin := binaries(t)
	s.command = func(program string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, program), args...)
		cmd.Dir = dir
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		return cmd
	}
	s.initialize("--username=app", "--pwfile="+secret, "--locale=C")
	return s
}

// initialize makes the data directory and starts the server.
func (s *Server) initialize(options ...string) {
	s.t.Helper()
	initdb := s.command("initdb",
		append(options, "--pgdata="+s.data(), "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync")...)
	output, err := initdb.CombinedOutput()
	require.NoError(s.t, err, string(output))
	s.t.Cleanup(s.Kill)
	s.Restart()
}

// Restart starts the server after Kill, and returns when it answers.
func (s *Server) Restart() {
	s.t.Helper()
	var log bytes.Buffer
	s.process = s.command("postgres",
		append(s.settings, "-D", s.data(), "-p", s.port, "-k", s.dir, "-c", "listen_addresses=localhost")...)
	s.process.Env = append(s.process.Env, s.environment...)
	s.process.Stderr = &log
	require.NoError(s.t, s.process.Start())
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var conn *pgx.Conn
		if conn, err = pgx.Connect(s.t.Context(), s.URL()); err == nil {
			require.NoError(s.t, conn.Close(s.t.Context()))
			return
		}
	}
	s.Kill()
	require.NoError(s.t, err, log.String())
}

// Kill ends the server's processes with SIGKILL, as a crash would.
func (s *Server) Kill() {
	if s.process == nil || s.process.Process == nil {
		return
	}
	// Its children end when they find their parent gone; Postgres does not start again before they have.
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	s.process = nil
}

// Addr is the server's host and port.
func (s *Server) Addr() string { return net.JoinHostPort("localhost", s.port) }

// SetPassword changes the password for new connections, and in URL.
func (s *Server) SetPassword(password string) {
	s.t.Helper()
	s.Exec(fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", s.role, password))
	s.password = password
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// binaries returns the folder of the server's programs: on PATH, or the newest where Debian and Ubuntu put
// them.
func binaries(t testing.TB) string {
	t.Helper()
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	require.NoError(t, err)
	folders = slices.DeleteFunc(folders, func(folder string) bool {
		_, err := os.Stat(filepath.Join(folder, "initdb"))
		return err != nil
	})
	require.NotEmpty(t, folders,
		"these tests need a Postgres server: make test installs postgresql on Debian and Ubuntu")
	slices.Sort(folders)
	return folders[len(folders)-1]
}

// Lock keeps others from changing a table's rows until they are unlocked.
func (s *Server) Lock(table string) (unlock func()) {
	s.t.Helper()
	return s.lock("SELECT FROM " + pgx.Identifier{table}.Sanitize() + " FOR UPDATE")
}

// LockTable also keeps others from adding rows.
func (s *Server) LockTable(table string) (unlock func()) {
	s.t.Helper()
	return s.lock("LOCK TABLE " + pgx.Identifier{table}.Sanitize() + " IN EXCLUSIVE MODE")
}

// LockAll keeps others even from reading a table.
func (s *Server) LockAll(table string) (unlock func()) {
	s.t.Helper()
	return s.lock("LOCK TABLE " + pgx.Identifier{table}.Sanitize() + " IN ACCESS EXCLUSIVE MODE")
}

func (s *Server) lock(statement string) (unlock func()) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.URL())
	require.NoError(s.t, err)
	_, err = conn.Exec(s.t.Context(), "BEGIN; "+statement)
	require.NoError(s.t, err)
	return func() { require.NoError(s.t, conn.Close(context.Background())) }
}

// WaitForLock returns when a statement waits for a lock.
func (s *Server) WaitForLock() {
	s.t.Helper()
	s.WaitForLocks(1)
}

// WaitForLocks returns when that many statements wait for locks.
func (s *Server) WaitForLocks(statements int) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		return s.Ask(`SELECT count(*)::text FROM pg_locks WHERE NOT granted`) == strconv.Itoa(statements)
	}, patience, 10*time.Millisecond)
}

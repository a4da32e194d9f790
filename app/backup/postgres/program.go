// Package postgres takes snapshots of databases, dumps them and restores dumps, with Postgres' own programs.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const stopTimeout = 10 * time.Second

// command prepares one of Postgres' programs, with additional environment variables.
func command(
	ctx context.Context, environment []string, name string, args ...string,
) (*exec.Cmd, *stderrTail) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PGAPPNAME=backup")
	cmd.Env = append(cmd.Env, environment...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	stderr := &stderrTail{}
	cmd.Stderr = stderr
	return cmd, stderr
}

// commandError adds to an error what the program wrote to stderr, in one line. It is an ErrPermanent if the
// program would fail in the same way again.
func commandError(ctx context.Context, cmd *exec.Cmd, stderr *stderrTail, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	name, message := cmd.Args[0], stderr.String()
	isAnswer := serverError.MatchString(message) &&
		(!transient.MatchString(message) || foreignServer.MatchString(message))
	if isAnswer && (name == "pg_restore" || permanent.MatchString(message)) {
		return fmt.Errorf("%w: %s: %w: %s", ErrPermanent, name, err, message)
	}
	return fmt.Errorf("%s: %w: %s", name, err, message)
}

// withRemedy says what to do about a permanent error of pg_restore.
func withRemedy(err error) error {
	if !errors.Is(err, ErrPermanent) {
		return err
	}
	return fmt.Errorf("%w; %s", err, remedy(err.Error()))
}

func remedy(message string) string {
	switch {
	case preloaded.MatchString(message):
		return "the throwaway server loads no library at its start, as the database's own does: " +
			"take what needs the library out of the database"
	case missing.MatchString(message) && inFunction.MatchString(message):
		return "a dump is restored with an empty search_path, so a function finds only what it names " +
			"with its schema: name it so, or give the function a path of its own " +
			"(ALTER FUNCTION … SET search_path = …)"
	case refresh.MatchString(message):
		return "a restore refreshes materialized views, and cannot refresh this one, for example since it reads " +
			"a foreign table: REFRESH MATERIALIZED VIEW … WITH NO DATA, or keep its rows in a table"
	}
	return "no dump of it can be restored as it is: change or drop it in the database"
}

// Messages of the programs. A server without other clients gives pg_restore the same answer to the same
// statement again, unless it is about resources or connections. Of a live server, only some answers to
// pg_dump are permanent.
var (
	serverError = regexp.MustCompile(`ERROR:  ?\S`)
	transient   = regexp.MustCompile(`(?i)no space left|out of (shared )?memory|terminating connection|` +
		`connection to server|the database system is|canceling statement|deadlock detected|` +
		`could not (write|extend|resize|fork|fsync) |lock timeout|too many (clients|connections)`)
	permanent = regexp.MustCompile(`permission denied|row-level security|invalid byte sequence|` +
		`has no equivalent in encoding`)
	preloaded = regexp.MustCompile(`shared_preload_libraries|must be preloaded`)
	missing   = regexp.MustCompile(`ERROR: .*(relation|function|type|operator|collation|text search \w+) .* ` +
		`does not exist`)
	inFunction    = regexp.MustCompile(`(PL/\w+|SQL) function`)
	refresh       = regexp.MustCompile(`Command was: REFRESH MATERIALIZED VIEW`)
	foreignServer = regexp.MustCompile(`could not connect to server "`)
)

// withParameters adds parameters of the server to PGOPTIONS, which may have some already.
func withParameters(environment []string, parameters map[string]string) []string {
	const variable = "PGOPTIONS="
	var options []string
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		options = append(options, "-c "+name+"="+parameters[name])
	}
	more := strings.Join(options, " ")
	environment = slices.Clone(environment)
	for i, setting := range environment {
		if strings.HasPrefix(setting, variable) {
			environment[i] += " " + more
			return environment
		}
	}
	return append(environment, variable+more)
}

// output runs a program and returns what it prints.
func output(ctx context.Context, environment []string, name string, args ...string) ([]byte, error) {
	cmd, stderr := command(ctx, environment, name, args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Run()
	return out.Bytes(), commandError(ctx, cmd, stderr, err)
}

// stream is the output of a program. Read returns io.EOF only if the program succeeds.
type stream struct {
	ctx    context.Context
	cancel context.CancelFunc
	cmd    *exec.Cmd
	stderr *stderrTail
	out    io.Reader
	end    error
}

func startStream(ctx context.Context, environment []string, name string, args ...string) (*stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd, stderr := command(ctx, environment, name, args...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		widen(out)
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return &stream{ctx: ctx, cancel: cancel, cmd: cmd, stderr: stderr, out: out}, nil
}

// widen enlarges a pipe to the most that Linux allows any program, so that pg_dump waits for the upload less
// often.
func widen(pipe any) {
	const size = 1 << 20
	if file, ok := pipe.(*os.File); ok {
		if raw, err := file.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, size) }) // it works without
		}
	}
}

func (s *stream) Read(p []byte) (int, error) {
	if s.end != nil {
		return 0, s.end
	}
	n, err := s.out.Read(p)
	if errors.Is(err, io.EOF) {
		if s.end = commandError(s.ctx, s.cmd, s.stderr, s.cmd.Wait()); s.end == nil {
			s.end = io.EOF
		}
		return n, s.end
	}
	return n, err
}

// Close ends the program if it still runs.
func (s *stream) Close() error {
	s.cancel()
	if s.end == nil {
		s.end = errors.New("closed")
		_ = s.cmd.Wait() // it was told to end
	}
	return nil
}

// stderrTail keeps the end of what is written to it.
type stderrTail struct{ kept []byte }

func (t *stderrTail) Write(p []byte) (int, error) {
	const most = 64 << 10
	t.kept = append(t.kept, p...)
	t.kept = t.kept[max(0, len(t.kept)-most):]
	return len(p), nil
}

// String is one line. A program may print a long statement after its error; the line keeps the error and the
// statement's beginning.
func (t *stderrTail) String() string {
	const statement, statementLength, length = "Command was: ", 500, 2000
	kept := t.kept
	if at := bytes.LastIndex(kept, []byte(statement)); at >= 0 {
		kept = kept[:min(len(kept), at+len(statement)+statementLength)]
	}
	return strings.Join(strings.Fields(string(kept[max(0, len(kept)-length):])), " ")
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`)

// ClientVersion returns the version of pg_dump, such as 17.11, and its major part.
func ClientVersion(ctx context.Context) (version string, major int, err error) {
	printed, err := output(ctx, nil, "pg_dump", "--version")
	if err != nil {
		return "", 0, err
	}
	parts := versionPattern.FindSubmatch(printed)
	if parts == nil {
		return "", 0, fmt.Errorf("pg_dump calls its version %q", printed)
	}
	major, err = strconv.Atoi(string(parts[2]))
	return string(parts[1]), major, err
}

// Package postgres takes snapshots of databases, dumps them, and restores dumps, with the programs of
// Postgres itself.
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

// stopTime is what a program may take to end after it was told to.
const stopTime = 10 * time.Second

// program prepares one of Postgres' programs, with further variables of the environment.
func program(ctx context.Context, environment []string, name string, args ...string) (*exec.Cmd, *tail) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PGAPPNAME=backup")
	cmd.Env = append(cmd.Env, environment...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTime
	said := &tail{}
	cmd.Stderr = said
	return cmd, said
}

// failure is what a program that failed has said, in one line. It is an ErrPermanent if the program would say
// the same again.
func failure(ctx context.Context, cmd *exec.Cmd, said *tail, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	name, told := cmd.Args[0], said.String()
	answered := answer.MatchString(told) && !passing.MatchString(told)
	if answered && (name == "pg_restore" || lasting.MatchString(told)) {
		return fmt.Errorf("%w: %s: %w: %s", ErrPermanent, name, err, told)
	}
	return fmt.Errorf("%s: %w: %s", name, err, told)
}

// withWayOut says what to do if pg_restore was refused something.
func withWayOut(err error) error {
	if !errors.Is(err, ErrPermanent) {
		return err
	}
	return fmt.Errorf("%w; %s", err, wayOut(err.Error()))
}

func wayOut(told string) string {
	switch {
	case preloaded.MatchString(told):
		return "the throwaway server loads no library at its start, as the database's own does: " +
			"take what needs the library out of the database"
	case missing.MatchString(told) && inFunction.MatchString(told):
		return "a dump is restored with an empty search_path, by which a function finds only what it names " +
			"with its schema: name it so, or give the function a path of its own (ALTER FUNCTION … SET search_path = …)"
	}
	return "no dump of it can be restored as it is: change or drop it in the database"
}

// What programs say. Nobody else uses what is restored, so that the server's answer to the same statement
// stays the same; of a database that is dumped, some answers do. Those that pass tell of resources and
// connections.
var (
	answer  = regexp.MustCompile(`ERROR:  ?\S`)
	passing = regexp.MustCompile(`(?i)no space left|out of (shared )?memory|terminating connection|` +
		`connection to server|the database system is|canceling statement|deadlock detected|` +
		`could not (write|extend|resize|fork|fsync) |lock timeout|too many (clients|connections)`)
	lasting = regexp.MustCompile(`permission denied|row-level security|invalid byte sequence|` +
		`has no equivalent in encoding`)
	preloaded = regexp.MustCompile(`shared_preload_libraries|must be preloaded`)
	missing   = regexp.MustCompile(`ERROR: .*(relation|function|type|operator|collation|text search \w+) .* ` +
		`does not exist`)
	inFunction = regexp.MustCompile(`(PL/\w+|SQL) function`)
)

// withOptions has libpq set parameters of the server, besides those that it sets already.
func withOptions(environment []string, parameters map[string]string) []string {
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
	cmd, said := program(ctx, environment, name, args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Run()
	return out.Bytes(), failure(ctx, cmd, said, err)
}

// stream is what a program prints. Its end is only reached if the program ends well.
type stream struct {
	ctx    context.Context
	cancel context.CancelFunc
	cmd    *exec.Cmd
	said   *tail
	out    io.Reader
	end    error
}

func start(ctx context.Context, environment []string, name string, args ...string) (*stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd, said := program(ctx, environment, name, args...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		widen(out)
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return &stream{ctx: ctx, cancel: cancel, cmd: cmd, said: said, out: out}, nil
}

// pipeSize is as far as Linux lets any program print ahead of its reader, in bytes.
const pipeSize = 1 << 20

// widen enlarges a pipe, so that both its ends wait for each other less often.
func widen(pipe any) {
	if file, ok := pipe.(*os.File); ok {
		if raw, err := file.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				_,
					_ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize)
			}) // it works without
		}
	}
}

func (s *stream) Read(p []byte) (int, error) {
	if s.end != nil {
		return 0, s.end
	}
	n, err := s.out.Read(p)
	if errors.Is(err, io.EOF) {
		if s.end = failure(s.ctx, s.cmd, s.said, s.cmd.Wait()); s.end == nil {
			s.end = io.EOF
		}
		return n, s.end
	}
	return n, err
}

// Close ends the program, if it still runs.
func (s *stream) Close() error {
	s.cancel()
	if s.end == nil {
		s.end = errors.New("closed")
		_ = s.cmd.Wait() // it was told to end
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

// A program may print a long statement after its error. The line keeps the error and the statement's
// beginning.
const tailLength, toldLength, statementLength = 64 << 10, 2000, 500

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if len(t.kept) > tailLength {
		t.kept = t.kept[len(t.kept)-tailLength:]
	}
	return len(p), nil
}

// String is one line.
func (t *tail) String() string {
	told := t.kept
	const statement = "Command was: "
	if at := bytes.LastIndex(told, []byte(statement)); at >= 0 {
		told = told[:min(len(told), at+len(statement)+statementLength)]
	}
	told = told[max(0, len(told)-toldLength):]
	return strings.Join(strings.Fields(string(told)), " ")
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`)

// ClientVersion is that of pg_dump, such as 17.11, and its major part.
func ClientVersion(ctx context.Context) (version string, major int, err error) {
	said, err := output(ctx, nil, "pg_dump", "--version")
	if err != nil {
		return "", 0, err
	}
	parts := versionPattern.FindSubmatch(said)
	if parts == nil {
		return "", 0, fmt.Errorf("pg_dump calls its version %q", said)
	}
	major, err = strconv.Atoi(string(parts[2]))
	return string(parts[1]), major, err
}

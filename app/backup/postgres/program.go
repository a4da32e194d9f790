// Package postgres takes snapshots of databases, dumps them, and restores dumps, with the programs of Postgres itself.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
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

// failure is what a program that failed has said, in one line.
func failure(ctx context.Context, cmd *exec.Cmd, said *tail, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%s: %w: %s", cmd.Args[0], err, said)
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
			_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) }) // it works without
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

const tailLength = 2000

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if len(t.kept) > tailLength {
		t.kept = t.kept[len(t.kept)-tailLength:]
	}
	return len(p), nil
}

// String is one line.
func (t *tail) String() string { return strings.Join(strings.Fields(string(t.kept)), " ") }

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

// Package proc runs and kills commands, and finds processes of this machine.
package proc

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// Command is a command that runs in a directory.
func Command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	return cmd
}

// cleanupTime is what a test keeps of its time to show the output of a command that hangs, and to clean up.
const cleanupTime = 3 * time.Minute

// Run returns the standard output of a command. If the command fails, so does the test, and shows all output.
// A command that still runs shortly before the tests' own timeout has hung.
func Run(t *testing.T, cmd *exec.Cmd) string {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start(), cmd)
	if deadline, has := t.Deadline(); has {
		hung := time.AfterFunc(time.Until(deadline)-cleanupTime, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
		defer hung.Stop()
	}
	err := cmd.Wait()
	require.NoError(t, err, "%s\n%s%s", cmd, &stdout, &stderr)
	return stdout.String()
}

// Session is a running command with everything that it starts. Read Output when it has ended.
type Session struct {
	Output *bytes.Buffer
	cmd    *exec.Cmd
	ended  chan struct{} // closed when err says how
	err    error
}

// Start starts a command in a session of its own. It is killed if it still runs when the test ends.
func Start(t *testing.T, cmd *exec.Cmd) *Session {
	s := &Session{Output: &bytes.Buffer{}, cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = s.Output, s.Output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	require.NoError(t, cmd.Start(), cmd)
	go func() {
		s.err = cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		if !s.hasEnded() {
			_ = s.Kill()
		}
	})
	return s
}

func (s *Session) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// Wait returns how the command ended. A command that hangs is killed, and fails the test.
func (s *Session) Wait(t *testing.T) error {
	select {
	case <-s.ended:
	case <-time.After(wait.Patience):
		require.FailNow(t, "the command hung", "%s: %v\n%s", s.cmd, s.Kill(), s.Output)
	}
	return s.err
}

// Kill kills all processes of the session, also those with a process group of their own, as Pulumi's plugins
// have, and returns how the command ended.
func (s *Session) Kill() error {
	leader := strconv.Itoa(s.cmd.Process.Pid)
	for {
		processes := Find(func(dir string) bool {
			fields := Stat(dir)
			return len(fields) > 3 && fields[3] == leader
		})
		if len(processes) == 0 {
			<-s.ended
			return s.err
		}
		for _, process := range processes {
			_ = syscall.Kill(process, syscall.SIGKILL) // it may have ended by itself
		}
	}
}

// KillWhen starts a command and kills its session as soon as reached returns true.
func KillWhen(t *testing.T, cmd *exec.Cmd, reached func() bool) {
	s := Start(t, cmd)
	wait.Until(t, func() error {
		if reached() {
			return nil
		}
		if s.hasEnded() {
			require.FailNow(t, "ended before it could be killed", "%s: %v\n%s", cmd, s.err, s.Output)
		}
		return fmt.Errorf("%s has not reached the moment to be killed", cmd)
	})
	require.Error(t, s.Kill(), "%s ended before it could be killed", cmd)
}

// KillWithin starts a command and kills its session at a random moment of a time span, unless the command
// succeeds before.
func KillWithin(t *testing.T, random *rand.Rand, span time.Duration, cmd *exec.Cmd) {
	after := time.Duration(random.Int64N(int64(span)))
	s := Start(t, cmd)
	select {
	case <-s.ended:
		require.NoError(t, s.err, "%s\n%s", cmd, s.Output)
	case <-time.After(after):
		t.Logf("%s, killed after %s: %v", cmd, after.Round(time.Millisecond), s.Kill())
	}
}

// Dir is the directory of a process in /proc.
func Dir(process int) string { return fmt.Sprintf("/proc/%d", process) }

// Find returns the living processes with a directory in /proc that satisfies a condition.
func Find(condition func(dir string) bool) []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var found []int
	for _, dir := range dirs {
		if fields := Stat(dir); len(fields) > 0 && fields[0] != "Z" && condition(dir) {
			process, _ := strconv.Atoi(filepath.Base(dir))
			found = append(found, process)
		}
	}
	return found
}

// Name is the name of a process.
func Name(dir string) string { return strings.TrimSpace(Read(dir, "comm")) }

// Stat returns the fields of a process after its name: state, parent, process group, session (man 5
// proc_pid_stat).
func Stat(dir string) []string {
	text := Read(dir, "stat")
	return strings.Fields(text[strings.LastIndex(text, ")")+1:])
}

// IsFirst tells whether a process is the first in its own PID namespace (man 5 proc_pid_status).
func IsFirst(process int) bool {
	_, rest, _ := strings.Cut(Read(Dir(process), "status"), "\nNSpid:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.HasSuffix(line, "\t1")
}

// Read returns the content of a file, or "" if its process has ended.
func Read(dir, name string) string {
	content, _ := os.ReadFile(filepath.Join(dir, name))
	return string(content)
}

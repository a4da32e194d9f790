package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
)

// A daemon is found by what its first process has in its environment: the
// kernel's list of processes is the only record, so none can be out of date.
const (
	labVariable    = "STATEFUL_K3S_LAB"
	daemonVariable = "STATEFUL_K3S_DAEMON"
)

// systemPath has the machine's programs. Daemons do not get the PATH of the shell that starts them: the same
// command in another shell would replace them.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// daemon is a program that outlives the command that starts it. It has process
// and mount namespaces of its own: when its first process ends, the kernel ends
// all others and drops their mounts.
type daemon struct {
	Lab  string   `json:"lab"`
	Name string   `json:"name"`
	Args []string `json:"args"`
	Env  []string `json:"env,omitempty"`
	// Inputs stands for what else the daemon is started with, such as the content of its files.
	Inputs string `json:"inputs,omitempty"`
	Log    string `json:"log"`
	// NetNS is a named network namespace; empty for the machine's own.
	NetNS  string `json:"netns,omitempty"`
	Cgroup string `json:"cgroup"`
	// NodeDir makes the daemon a node: it sees this directory's parts as its own
	// /etc, /var/lib and /var/log, and its cgroup as the root of all cgroups.
	NodeDir string `json:"nodeDir,omitempty"`
	// RunDir takes what any other daemon writes below /run, where it sees the machine's files besides. Without
	// one it sees the machine's /run as it is.
	RunDir string `json:"runDir,omitempty"`
	// Grace is how long processes get to stop.
	Grace time.Duration `json:"grace"`
}

func (d daemon) spec() string {
	spec, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return string(spec)
}

// start leaves a daemon alone that runs as described and replaces one that runs otherwise.
func (d daemon) start(ctx context.Context) (started bool, err error) {
	if d.running() {
		return false, nil
	}
	if err := d.stop(ctx); err != nil {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(d.Log), 0o755); err != nil {
		return false, err
	}
	log, err := os.OpenFile(d.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return false, err
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	cmd := exec.Command(self, InitCommand, d.spec())
	cmd.Env = append(os.Environ(), labVariable+"="+d.Lab, daemonVariable+"="+d.Name)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("starting %s: %w", d.Name, err)
	}
	// On a busy machine the kernel shows the environment, by which it is found, a moment later.
	// One that has ended already is left to await, which says why.
	_ = poll(ctx, "for "+d.Name+" to start", 2*time.Second, func() error {
		if pid, _ := find(d.Lab, d.Name); pid == 0 {
			return errors.New("it is not to be seen")
		}
		return nil
	})
	return true, cmd.Process.Release()
}

// running says whether the daemon runs as described.
func (d daemon) running() bool {
	pid, spec := find(d.Lab, d.Name)
	return pid != 0 && spec == d.spec()
}

// stop asks the daemon to end, and after its grace ends it. One that was just killed gets the time to be
// gone. Its cgroups go too: a node that starts again would look for 3 seconds for each container that it once
// had.
func (d daemon) stop(ctx context.Context) error {
	if pid, _ := find(d.Lab, d.Name); pid != 0 {
		_ = unix.Kill(pid, unix.SIGTERM) // it may have ended
		if d.gone(ctx, 2*d.Grace+5*time.Second) != nil {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	if err := d.gone(ctx, 10*time.Second); err != nil {
		return fmt.Errorf("stopping %s: %w", d.Name, err)
	}
	// Groups stay busy for a moment after their last process.
	err := poll(ctx, "for the last processes of "+d.Name, 10*time.Second,
		func() error { return removeCgroups(d.Cgroup) })
	if err != nil {
		return fmt.Errorf("removing the cgroups of %s: %w", d.Name, err)
	}
	return nil
}

// gone waits for the first process and for those that end a moment after it.
func (d daemon) gone(ctx context.Context, within time.Duration) error {
	return poll(ctx, "for "+d.Name+" to stop", within, func() error {
		if pid, _ := find(d.Lab, d.Name); pid != 0 {
			return fmt.Errorf("process %d still runs", pid)
		}
		busy, err := cgroupBusy(d.Cgroup)
		if err != nil {
			return fmt.Errorf("looking for processes in the cgroup %s: %w", d.Cgroup, err)
		}
		if busy {
			return fmt.Errorf("processes still run in the cgroup %s", d.Cgroup)
		}
		return nil
	})
}

// alive fails when the daemon has ended, with the last of what it said.
func (d daemon) alive() error {
	if pid, _ := find(d.Lab, d.Name); pid != 0 {
		return nil
	}
	return fatal{fmt.Errorf("%s ended; the end of %s:\n%s", d.Name, d.Log, tail(d.Log, 15))}
}

// await repeats the check until it succeeds, the daemon has ended, or the time is over.
func (d daemon) await(ctx context.Context, within time.Duration, check func() error) error {
	return poll(ctx, "for "+d.Name, within, func() error {
		if err := d.alive(); err != nil {
			return err
		}
		return check()
	})
}

// find returns the first process of a daemon and what it was started with, 0 if there is none.
func find(lab, name string) (pid int, spec string) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		candidate, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		proc := filepath.Join("/proc", entry.Name())
		environ, err := os.ReadFile(filepath.Join(proc, "environ"))
		variables := strings.Split(string(environ), "\x00")
		if err != nil || !slices.Contains(variables, labVariable+"="+lab) ||
			!slices.Contains(variables, daemonVariable+"="+name) || !isInit(proc) {
			continue
		}
		cmdline, _ := os.ReadFile(filepath.Join(proc, "cmdline"))
		args := strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
		return candidate, args[len(args)-1]
	}
	return 0, ""
}

// isInit says whether the process is the first of a namespace right below this one, and not a zombie.
func isInit(proc string) bool {
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return false
	}
	init, zombie := false, false
	for _, line := range strings.Split(string(status), "\n") {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 3 && fields[0] == "NSpid:":
			init = fields[2] == "1"
		case len(fields) > 1 && fields[0] == "State:":
			zombie = fields[1] == "Z"
		}
	}
	return init && !zombie
}

func tail(path string, lines int) string {
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// fatal is an error that waiting does not mend.
type fatal struct{ error }

// poll waits for what is named, such as "for k3s": it repeats the check until it succeeds, fails for good, or
// the time is over.
func poll(ctx context.Context, what string, within time.Duration, check func() error) error {
	deadline := time.Now().Add(within)
	var last atomic.Value // what the check said, a string
	last.Store("")
	defer progress.Start("waiting "+what, func() string { return last.Load().(string) })()
	for {
		err := check()
		if err == nil {
			return nil
		}
		last.Store(err.Error())
		var f fatal
		if errors.As(err, &f) {
			return f.error
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s: %w", within, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

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

// A daemon is found by the environment of its first process. There is no other record that could be out of
// date.
const (
	labVariable    = "STATEFUL_K3S_LAB"
	daemonVariable = "STATEFUL_K3S_DAEMON"
)

// systemPath is the PATH of daemons. With the PATH of the user's shell, another shell would replace them.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// daemon is a program that outlives the command that starts it. It has PID and mount namespaces of its own:
// when its first process ends, the kernel kills all others and drops their mounts.
type daemon struct {
	Lab  string   `json:"lab"`
	Name string   `json:"name"`
	Args []string `json:"args"`
	Env  []string `json:"env,omitempty"`
	// Inputs is a hash of what else makes another daemon, such as the content of its files.
	Inputs string `json:"inputs,omitempty"`
	Log    string `json:"log"`
	// NetNS is the name of a network namespace; empty for the machine's own.
	NetNS  string `json:"netns,omitempty"`
	Cgroup string `json:"cgroup"`
	// NodeDir makes the daemon a node: it sees the parts of this directory as /etc, /var/lib and /var/log, and
	// its cgroup as the root of all cgroups.
	NodeDir string `json:"nodeDir,omitempty"`
	// RunDir takes what another daemon writes to the machine's /run, which it can read. If it is empty, the
	// daemon writes to /run itself.
	RunDir string `json:"runDir,omitempty"`
	// Grace is the time that processes get to stop.
	Grace time.Duration `json:"grace"`
}

func (d daemon) spec() string {
	spec, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return string(spec)
}

// start leaves a daemon alone if it runs as described, and replaces it otherwise.
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
	// On a busy machine the environment shows a moment later. If the daemon has ended already, await says why.
	_ = poll(ctx, "for "+d.Name+" to start", 2*time.Second, func() error {
		if pid, _ := find(d.Lab, d.Name); pid == 0 {
			return errors.New("it does not show")
		}
		return nil
	})
	return true, cmd.Process.Release()
}

// running reports whether the daemon runs as described.
func (d daemon) running() bool {
	pid, spec := find(d.Lab, d.Name)
	return pid != 0 && spec == d.spec()
}

// stop terminates the daemon, kills it after its grace period, and waits until it is gone. It removes its
// cgroups too: a new node would spend 3 seconds on each container that the old one had. An interrupt does not
// shorten the grace period, which databases in the cluster need.
func (d daemon) stop(ctx context.Context) error {
	if pid, _ := find(d.Lab, d.Name); pid != 0 {
		_ = unix.Kill(pid, unix.SIGTERM) // it may have ended
		if d.awaitGone(context.WithoutCancel(ctx), 2*d.Grace+5*time.Second) != nil {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	if err := d.awaitGone(ctx, 10*time.Second); err != nil {
		return fmt.Errorf("stopping %s: %w", d.Name, err)
	}
	return awaitCgroupsGone(ctx, d.Cgroup)
}

// kill ends all processes of the daemon at once.
func (d daemon) kill(ctx context.Context) error {
	if pid, _ := find(d.Lab, d.Name); pid != 0 {
		_ = unix.Kill(pid, unix.SIGKILL) // it may have ended
	}
	return d.stop(ctx)
}

// awaitGone waits for the end of the first process. The others end with it.
func (d daemon) awaitGone(ctx context.Context, within time.Duration) error {
	return poll(ctx, "for "+d.Name+" to stop", within, func() error {
		if pid, _ := find(d.Lab, d.Name); pid != 0 {
			return fmt.Errorf("process %d still runs", pid)
		}
		return nil
	})
}

// checkAlive fails if the daemon has ended, with the end of its log.
func (d daemon) checkAlive() error {
	if pid, _ := find(d.Lab, d.Name); pid != 0 {
		return nil
	}
	return fatal{fmt.Errorf("%s ended; the end of %s:\n%s", d.Name, d.Log, tail(d.Log, 15))}
}

// await repeats the check until it succeeds, the daemon ends, or the time is over.
func (d daemon) await(ctx context.Context, within time.Duration, check func() error) error {
	return poll(ctx, "for "+d.Name, within, func() error {
		if err := d.checkAlive(); err != nil {
			return err
		}
		return check()
	})
}

// find returns the first process of a daemon and its description, or 0.
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

// isInit reports whether a process is the first of a PID namespace right below this one, and not a zombie.
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

// fatal is an error that ends a poll.
type fatal struct{ error }

// poll repeats the check until it succeeds, returns a fatal error, or the time is over. what is, for example,
// "for k3s".
func poll(ctx context.Context, what string, within time.Duration, check func() error) error {
	deadline := time.Now().Add(within)
	var last atomic.Value // the text of the last error
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

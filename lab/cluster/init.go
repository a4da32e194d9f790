package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// InitCommand is the hidden command that runs the first process of a daemon.
const InitCommand = "init"

// Init sets up the namespaces of a daemon and runs it in them until it ends or SIGTERM arrives. It returns an
// error only if the daemon did not start. The spec is in JSON.
func Init(spec string) error {
	var d daemon
	if err := json.Unmarshal([]byte(spec), &d); err != nil {
		return fmt.Errorf("reading the daemon's description: %w", err)
	}
	runtime.LockOSThread() // namespaces belong to a thread, and the daemon is forked from this one
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGTERM)

	if err := d.enter(); err != nil {
		return fmt.Errorf("setting up %s: %w", d.Name, err)
	}
	// The mark in the environment is for the first process alone.
	os.Unsetenv(labVariable)
	os.Unsetenv(daemonVariable)
	for _, variable := range d.Env {
		name, value, _ := strings.Cut(variable, "=")
		os.Setenv(name, value)
	}
	path, err := exec.LookPath(d.Args[0])
	if err != nil {
		return err
	}
	child, err := syscall.ForkExec(path, d.Args,
		&syscall.ProcAttr{Dir: "/", Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		return fmt.Errorf("starting %s: %w", path, err)
	}
	ended := make(chan struct{})
	go reap(child, ended)
	select {
	case <-stop:
		_ = unix.Kill(child, unix.SIGTERM) // it may have ended
		select {
		case <-ended:
		case <-time.After(d.Grace):
		}
	case <-ended:
	}
	// Containers, which may be left, get the same signal and the same time.
	_ = unix.Kill(-1, unix.SIGTERM)
	for deadline := time.Now().Add(d.Grace); time.Now().Before(deadline) && hasContainers(); {
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

// reap waits for the orphaned processes of the namespace, as its first process must.
func reap(child int, ended chan<- struct{}) {
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		switch {
		case pid == child:
			close(ended)
		case errors.Is(err, unix.ECHILD):
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// hasContainers looks for the first processes of containers. Their shims ignore SIGTERM.
func hasContainers() bool {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range processes {
		if isInit(proc) {
			return true
		}
	}
	return false
}

func (d daemon) enter() error {
	hierarchies, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	for _, h := range hierarchies {
		if err := h.join(d.Cgroup); err != nil {
			return fmt.Errorf("joining the cgroup %s: %w", d.Cgroup, err)
		}
	}
	if d.NetNS != "" {
		if err := enterNetwork(d.NetNS); err != nil {
			return err
		}
	}
	mounts := []mount{
		{target: "/", flags: unix.MS_REC | unix.MS_PRIVATE},
		{source: "proc", target: "/proc", kind: "proc"},
	}
	switch {
	case d.NodeDir != "":
		mounts = append(mounts, nodeMounts(d.NodeDir)...)
	case d.RunDir != "":
		own, work := filepath.Join(d.RunDir, "own"), filepath.Join(d.RunDir, "work")
		err := errors.Join(os.RemoveAll(d.RunDir), os.MkdirAll(own, 0o755), os.MkdirAll(work, 0o755))
		if err != nil {
			return err
		}
		mounts = append(mounts, overlay("/run", own, work))
	}
	if err := mountAll(mounts); err != nil {
		return err
	}
	if d.NodeDir == "" {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("making a cgroup namespace: %w", err)
	}
	if err := remountCgroups(hierarchies); err != nil {
		return err
	}
	// Containers must see the volumes that the kubelet mounts.
	return mountAll([]mount{{target: "/", flags: unix.MS_REC | unix.MS_SHARED}})
}

func mountAll(mounts []mount) error {
	for _, m := range mounts {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mounting %s %s on %s: %w", m.kind, m.source, m.target, err)
		}
	}
	return nil
}

type mount struct {
	source, target, kind, data string
	flags                      uintptr
}

// overlay keeps a directory readable and redirects writes to upper.
func overlay(dir, upper, work string) mount {
	return mount{source: "overlay", target: dir, kind: "overlay",
		data: fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work)}
}

// nodeMounts gives a node its own writable parts of the machine's file system.
func nodeMounts(dir string) []mount {
	return []mount{
		overlay("/etc", filepath.Join(dir, "etc"), filepath.Join(dir, "etc.work")),
		{source: "tmpfs", target: "/run", kind: "tmpfs", data: "mode=755"},
		{source: filepath.Join(dir, "log"), target: "/var/log", flags: unix.MS_BIND},
		{source: filepath.Join(dir, "lib"), target: "/var/lib", flags: unix.MS_BIND},
	}
}

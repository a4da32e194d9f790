package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/stretchr/testify/require"
)

// kill ends a process of a pod with SIGKILL, and of those that have children of the same name the parent. From inside the pod that is not possible, for a container's first process
// ignores it; but a lab's nodes share the process table of this machine.
func (c *cluster) kill(pod, program string) {
	c.t.Helper()
	// In the name of a control group systemd's driver writes the UID with underscores.
	uid := string(c.pod(pod).UID)
	processes := findProcesses(func(dir string) bool {
		group := strings.ReplaceAll(read(dir, "cgroup"), "_", "-")
		return strings.TrimSpace(read(dir, "comm")) == program && strings.Contains(group, uid)
	})
	processes = slices.DeleteFunc(processes, func(process int) bool {
		fields := stat(filepath.Join("/proc", strconv.Itoa(process)))
		return len(fields) > 1 && slices.ContainsFunc(processes, func(other int) bool { return strconv.Itoa(other) == fields[1] })
	})
	require.Len(c.t, processes, 1, "processes called %s in pod %s; do the tests run on the lab's machine, as root?", program, pod)
	require.NoError(c.t, syscall.Kill(processes[0], syscall.SIGKILL))
}

// killSession ends all processes of a session, also those with a process group of their own, as Pulumi's plugins have.
func killSession(leader int) {
	for {
		processes := findProcesses(func(dir string) bool {
			fields := stat(dir)
			return len(fields) > 3 && fields[3] == strconv.Itoa(leader)
		})
		if len(processes) == 0 {
			return
		}
		for _, process := range processes {
			_ = syscall.Kill(process, syscall.SIGKILL) // it may have ended by itself
		}
	}
}

// stat has the fields of a process after its name: state, parent, process group, session (man 5 proc_pid_stat).
func stat(dir string) []string {
	text := read(dir, "stat")
	return strings.Fields(text[strings.LastIndex(text, ")")+1:])
}

// findProcesses returns the living processes whose folder in /proc satisfies a condition.
func findProcesses(condition func(dir string) bool) []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var found []int
	for _, dir := range dirs {
		if fields := stat(dir); len(fields) > 0 && fields[0] != "Z" && condition(dir) {
			process, _ := strconv.Atoi(filepath.Base(dir))
			found = append(found, process)
		}
	}
	return found
}

// read is the content of a file, or "" if its process has ended.
func read(dir, name string) string {
	content, _ := os.ReadFile(filepath.Join(dir, name))
	return string(content)
}

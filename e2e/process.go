package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
)

// kill ends the first process of a pod's container with SIGKILL. From inside the pod that is not possible,
// for it would ignore it; but a lab's nodes share the process table of this machine.
func (c *cluster) kill(pod, program string) {
	c.t.Helper()
	require.NoError(c.t, syscall.Kill(c.process(pod, program), syscall.SIGKILL))
}

// process is the first process of the pod's container that runs the program.
func (c *cluster) process(pod, program string) int {
	c.t.Helper()
	found := slices.DeleteFunc(c.processes(c.pod(pod).UID, program),
		func(process int) bool { return !isFirst(process) })
	require.Len(c.t, found, 1, "first processes called %s in pod %s; do the tests run on the lab's machine, as root?", program, pod)
	return found[0]
}

// processes are those that run the program in the pod with the UID.
func (c *cluster) processes(pod types.UID, program string) []int {
	return findProcesses(func(dir string) bool {
		// In the name of a control group systemd's driver writes the UID with underscores.
		group := strings.ReplaceAll(read(dir, "cgroup"), "_", "-")
		return strings.TrimSpace(read(dir, "comm")) == program && strings.Contains(group, string(pod))
	})
}

// isFirst tells whether a process is the first one in its own namespace (man 5 proc_pid_status).
func isFirst(process int) bool {
	_, rest, _ := strings.Cut(read("/proc/"+strconv.Itoa(process), "status"), "\nNSpid:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.HasSuffix(line, "\t1")
}

// killSession ends all processes of a session, also those with a process group of their own, as Pulumi's
// plugins have.
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

// stat has the fields of a process after its name: state, parent, process group, session (man 5
// proc_pid_stat).
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

// killAndReplace kills a process of a pod with SIGKILL. Of a container that died before, Kubernetes delays
// the restart by up to five minutes, so the pod is then replaced.
func (c *cluster) killAndReplace(pod, program string) {
	c.t.Helper()
	died := false
	for _, container := range c.pod(pod).Status.ContainerStatuses {
		died = died || container.RestartCount > 0
	}
	c.kill(pod, program)
	if died {
		c.deletePod(pod)
	}
}

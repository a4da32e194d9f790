package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLabComesBackAfterItsProcessesWereKilled(t *testing.T) {
	c := newCluster(t)
	ride := c.board()
	claims := c.claims()
	before := daemons(labName())
	require.Len(t, before, 3, "registry, builder and node")
	for _, process := range before {
		require.NoError(t, syscall.Kill(process, syscall.SIGKILL))
	}
	makeUp(t)
	assert.Equal(t, claims, c.claims())
	ride.goesOn()
}

func TestLabDownLeavesNothingButFiles(t *testing.T) {
	c := newCluster(t)
	ride := c.board()
	require.NotEmpty(t, tracesInKernel(t, labName()))

	makeLab(t, "lab-down")
	assert.Empty(t, tracesInKernel(t, labName()))

	makeUp(t)
	ride.goesOn()
}

func TestLabThatWasKilledAsItStartedStarts(t *testing.T) {
	c := newCluster(t)
	ride := c.board()
	for _, running := range []int{1, 2, 3} {
		makeLab(t, "lab-down")
		startAndKill(t, makeUpCommand(), func() bool { return len(daemons(labName())) >= running })
	}
	makeUp(t)
	ride.goesOn()
}

func TestASecondLabIsOfNoConcernToTheFirst(t *testing.T) {
	const second = "second"
	c := newCluster(t)
	ride, first := c.board(), daemons(labName())
	run(t, command(checkout, "make", "lab-up", "LAB="+second))
	assert.Len(t, daemons(second), 3)
	ride.goesOn()

	run(t, command(checkout, "make", "lab-delete", "YES=1", "LAB="+second))
	assert.Empty(t, tracesInKernel(t, second))
	assert.NoDirExists(t, "/var/lib/stateful-k3s/"+second)
	assert.Equal(t, first, daemons(labName()))
	ride.goesOn()
}

func makeLab(t *testing.T, target string) {
	t.Helper()
	run(t, command(checkout, "make", target, "LAB="+labName()))
}

func labName() string { return os.Getenv("STATEFUL_K3S_LAB") }

// daemons are the first processes of the lab's daemons.
func daemons(lab string) []int {
	return findProcesses(func(dir string) bool {
		environment := strings.Split(read(dir, "environ"), "\x00")
		marks := 0
		for _, variable := range environment {
			if variable == "STATEFUL_K3S_LAB="+lab || strings.HasPrefix(variable, "STATEFUL_K3S_DAEMON=") {
				marks++
			}
		}
		return marks == 2
	})
}

// tracesInKernel are what the lab has besides files: processes, interfaces, network namespaces, mounts and cgroups.
func tracesInKernel(t *testing.T, lab string) []string {
	t.Helper()
	id := "sk3s-" + lab
	var found []string
	for _, process := range findProcesses(func(dir string) bool {
		return strings.Contains(read(dir, "cgroup"), id) || strings.Contains(read(dir, "cmdline"), "/stateful-k3s/"+lab+"/")
	}) {
		found = append(found, "process "+read(filepath.Join("/proc", strconv.Itoa(process)), "cmdline"))
	}
	interfaces, err := net.Interfaces()
	require.NoError(t, err)
	for _, i := range interfaces {
		if strings.HasPrefix(i.Name, id) {
			found = append(found, "interface "+i.Name)
		}
	}
	for _, pattern := range []string{"/run/netns/" + id + "*", "/sys/fs/cgroup/" + id + "*", "/sys/fs/cgroup/*/" + id + "*"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		found = append(found, paths...)
	}
	for line := range strings.Lines(read("/proc/self", "mountinfo")) {
		if strings.Contains(line, id) || strings.Contains(line, "/stateful-k3s/"+lab) {
			found = append(found, "mount "+line)
		}
	}
	return found
}

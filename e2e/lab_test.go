package e2e

import (
	"os"
	"path/filepath"
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
	require.Len(t, before, 4, "registry, builder, node and its way out")
	for _, process := range before {
		require.NoError(t, syscall.Kill(process, syscall.SIGKILL))
	}
	makeUp(t)
	assert.Equal(t, claims, c.claims())
	ride.goesOn()
}

func TestStatusNamesWhatServesPeopleAndPods(t *testing.T) {
	newCluster(t)
	status := run(t, command(checkout, "make", "status", "LAB="+labName()))
	assert.Contains(t, status, "\ningress      http://"+os.Getenv("STATEFUL_K3S_INGRESS_ADDRESS")+"\n")
	assert.Contains(t, status, "\nslirp4netns  running at sk3s-"+labName()+"-0's tap0 ")
	for _, namespace := range []string{exercises, project} {
		assert.Regexp(t, `\nbackup +`+namespace+`: \w+-\w+, verified, \w+ old, [\d.]+ \w*B in `, status)
	}
}

func TestLabThatWasKilledAsItStartedStarts(t *testing.T) {
	c := newCluster(t)
	ride := c.board()
	for _, running := range []int{1, 2, 3, 4} {
		makeLab(t, "lab-down", labName())
		startAndKill(t, makeUpCommand(labName()), func() bool { return len(daemons(labName())) >= running })
	}
	makeUp(t)
	ride.goesOn()
}

func TestASecondLabComesAndGoesWithoutATrace(t *testing.T) {
	const second = "second"
	c := newCluster(t)
	ride, first := c.board(), daemons(labName())
	before := lookAround(t)
	run(t, makeUpCommand(second))
	assert.Len(t, daemons(second), 4)
	require.NotEmpty(t, withoutFiles(lookAround(t).since(before, second), second))
	ride.goesOn()

	makeLab(t, "lab-down", second)
	assert.Empty(t, withoutFiles(lookAround(t).since(before, second), second))
	volumes, err := filepath.Glob("/var/lib/stateful-k3s/" + second + "/node-0/lib/rancher/k3s/storage/*")
	require.NoError(t, err)
	claims := 0
	for namespace := range podCount {
		claims += len(c.in(namespace).claims())
	}
	assert.Len(t, volumes, claims, "volumes that the stopped lab keeps")

	makeLab(t, "lab-delete", second)
	assert.Empty(t, lookAround(t).since(before, second))
	assert.Equal(t, first, daemons(labName()))
	ride.goesOn()
}

func makeLab(t *testing.T, target, lab string) {
	t.Helper()
	run(t, command(checkout, "make", target, "YES=1", "LAB="+lab))
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

package e2e

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMakeUpBringsBackWhatWasDeletedAndKilled(t *testing.T) {
	c := newCluster(t)
	ride := c.board()
	claims := c.claims()
	c.deleteStatefulSet()
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
	newCluster(t).in(project).deleteDaily() // those that did not get out to Wikipedia
	status := run(t, command(checkout, "make", "status", "LAB="+labName()))
	assert.Contains(t, status, "\ningress      http://"+os.Getenv("STATEFUL_K3S_INGRESS_ADDRESS")+"\n")
	assert.Contains(t, status, "\nslirp4netns  running at sk3s-"+labName()+"-0's tap0 ")
	for _, namespace := range []string{exercises, project} {
		assert.Regexp(t, `\nbackup +`+namespace+`: \w+-\w+, verified, \w+ old, [\d.]+ \w*B in `, status)
	}
}

// LAB_KILLS is the number of starts that are killed, 1 by default; LAB_SEED repeats a sequence.
func TestLabThatWasKilledAsItStartedStarts(t *testing.T) {
	c := newCluster(t)
	ride := c.board()
	random := newRandom(t, "LAB")
	for range number(t, "LAB_KILLS", 1) {
		running := 1 + random.IntN(4)
		t.Logf("killed with %d daemons", running)
		run(t, makeCommand(checkout, "lab-down", labName()))
		startAndKill(t, makeCommand(checkout, "up", labName()), func() bool { return len(daemons(labName())) >= running })
	}
	makeUp(t)
	ride.goesOn()
}

// daemons are the first processes of the lab's daemons, or of those that are named.
func daemons(lab string, names ...string) []int {
	return findProcesses(func(dir string) bool {
		environment := strings.Split(read(dir, "environ"), "\x00")
		isNamed := func(variable string) bool {
			name, is := strings.CutPrefix(variable, "STATEFUL_K3S_DAEMON=")
			return is && (len(names) == 0 || slices.Contains(names, name))
		}
		return slices.Contains(environment, "STATEFUL_K3S_LAB="+lab) && slices.ContainsFunc(environment, isNamed)
	})
}

package e2e

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMakeUpBringsBackWhatWasDeletedAndKilled changes things by hand, which a preview shows, kills the lab
// with all that runs in it, then ups that start it again, and then types make up in two shells at once: one
// starts the lab and brings up the stack, the other one does so after it, or says why not. LAB_KILLS is the
// number of ups that are killed, 1 by default; LAB_SEED repeats a sequence.
func TestMakeUpBringsBackWhatWasDeletedAndKilled(t *testing.T) {
	c := newCluster(t)
	random := newRandom(t, "LAB")
	ride, before, claims := c.board(), c.keepSomething(), c.claims()
	up := func() *exec.Cmd { return makeCommand(checkout, "up", labName()) }

	isBack := c.changeByHand()
	preview := pulumi(t, checkout, "preview", "--refresh")
	for _, changed := range []string{"todo-backend-deployment", "todo-postgres-statefulset",
		"pingpong-deployment", "todo-config", "todo-backend-service", "pingpong"} {
		assert.Regexp(t, `(?m)^ ?~.* `+changed+` +update`, preview)
	}
	c.deleteStatefulSet()
	all := daemons(labName())
	require.Len(t, all, 4, "registry, builder, node and its way out")
	for range number(t, "LAB_KILLS", 1) {
		for _, process := range daemons(labName()) {
			require.NoError(t, syscall.Kill(process, syscall.SIGKILL))
		}
		running := 1 + random.IntN(len(all))
		t.Logf("up is killed with %d daemons", running)
		startAndKill(t, up(), func() bool { return len(daemons(labName())) >= running })
	}
	run(t, makeCommand(checkout, "lab-down", labName()))

	first, second := startSession(t, up()), startSession(t, up())
	var failed []string
	for _, s := range []session{first, second} {
		if err := <-s.ended; err != nil {
			failed = append(failed, s.output.String())
		}
	}
	require.Less(t, len(failed), 2, "%q", failed)
	for _, output := range failed {
		assert.Regexp(t, `another pulumi \(process \d+\) works on the stack|the stack is currently locked by 1 lock`, output)
	}
	assert.Contains(t, first.output.String()+second.output.String(),
		"waiting for another command that starts or stops the lab "+labName())
	assert.Len(t, daemons(labName()), 4)
	c.waitUntilReady()
	isBack()
	assert.Equal(t, claims, c.claims())
	assert.Equal(t, before, c.kept())
	ride.goesOn()
	upChangesNothing(t)
}

func TestStatusNamesWhatServesPeopleAndPods(t *testing.T) {
	newCluster(t).in(project).deleteDaily() // those that did not get out to Wikipedia
	status := run(t, command(checkout, "make", "status", "LAB="+labName()))
	assert.Contains(t, status, "\ningress      http://"+os.Getenv("STATEFUL_K3S_INGRESS_ADDRESS")+"\n")
	assert.Contains(t, status, "\nslirp4netns  running at sk3s-"+labName()+"-0's tap0 ")
	for _, namespace := range []string{exercises, project} {
		assert.Regexp(t, `\nbackup +`+namespace+`: \w+-\w+, verified, \w+ old, [\d.]+ \w*B; \d+ in all\n`, status)
	}
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

package e2e

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestKilledUpsAreRepaired kills ups and destroys at random moments, each of which make up repairs. UP_KILLS is the number of
// kills, 1 by default; UP_SEED repeats a sequence.
func TestKilledUpsAreRepaired(t *testing.T) {
	c := newCluster(t)
	leaveSettings(t)
	random := newRandom(t, "UP")
	changed := copyCheckout(t)
	edit(t, filepath.Join(changed, "app/redisfiller/filler.go"), `"the train goes on"`, `"the train goes on again"`)
	edit(t, filepath.Join(changed, "app/backup/main.go"), `commands().ExecuteContext(ctx)`, `commands().ExecuteContext(context.WithoutCancel(ctx))`)

	ride := c.board()
	before := c.keepSomething()

	kinds := []struct {
		name   string
		before func()
		start  func() *exec.Cmd
		// span is the longest that it may take; less if it was seen to end before.
		span time.Duration
	}{
		{"first up", func() { pulumiDestroy(t) }, func() *exec.Cmd { return makeCommand(checkout, "up", labName()) }, time.Minute},
		{"changed up", func() {}, func() *exec.Cmd { return changedUp(changed) }, time.Minute},
		{"destroy", func() {}, func() *exec.Cmd { return makeCommand(checkout, "destroy", labName()) }, time.Minute},
	}
	first := random.IntN(len(kinds))
	for i := range int(number(t, "UP_KILLS", 1)) {
		kind := &kinds[(first+i)%len(kinds)]
		for killed := false; !killed; {
			kind.before()
			moment := time.Duration(random.Int64N(int64(kind.span)))
			start := time.Now()
			if killed = startAndKillAfter(t, kind.start(), moment); !killed {
				kind.span = time.Since(start)
			}
			t.Logf("%d: %s, killed after %s: %t", i+1, kind.name, moment.Round(time.Millisecond), killed)
		}

		start := time.Now()
		makeUp(t)
		c.waitUntilReady()
		t.Logf("%d: repaired in %s", i+1, time.Since(start).Round(time.Second))
		assert.Equal(t, before, c.kept())
		ride.goesOn()
		pulumi(t, checkout, "up", "--refresh", "--yes", "--skip-preview", "--expect-no-changes")
	}
}

// A restore that nobody asks for any more would go on by itself, and one from another source could not take its place.
func TestMakeUpEndsTheRestoreOfAKilledUp(t *testing.T) {
	c := newCluster(t)
	before := c.keepSomething()
	job := func() error {
		_, err := c.BatchV1().Jobs(c.namespace).Get(t.Context(), "restore", metav1.GetOptions{})
		return err
	}
	startAndKill(t, upWith("pingpongRestoreFrom=2001-01-01T00:00:00Z", "restoreOver=pingpong"), func() bool { return job() == nil })
	makeUp(t)
	assert.True(t, apierrors.IsNotFound(job()), "%v", job())
	assert.Equal(t, before, c.kept())
}

// changedUp is an up in a changed checkout that also rotates passwords, changes parameters and restores the pings to what they are.
func changedUp(dir string) *exec.Cmd {
	now := time.Now().UTC()
	version := strconv.FormatInt(now.UnixNano(), 36)
	cmd := upWith(
		"redisPasswordVersion="+version, "postgresPasswordVersion="+version, "postgresTLSVersion="+version, "storageKeysVersion="+version,
		"postgresParameters=work_mem="+strconv.Itoa(1024+now.Second())+"kB",
		"pingpongRestoreFrom="+now.Format(time.RFC3339), "restoreOver=pingpong",
	)
	cmd.Dir = dir
	return cmd
}

// kept is what people keep in the stack.
type kept struct {
	pings int64
	todos map[int64]string
}

// keepSomething adds a ping and a todo, which is deleted when the test ends.
func (c *cluster) keepSomething() kept {
	c.t.Helper()
	c.get(pingpongService, "/pingpong")
	c.in(project).psql("INSERT INTO todo (title, completed) VALUES ('" + keptTodo + "', false)")
	c.t.Cleanup(func() { c.in(project).psql("DELETE FROM todo WHERE title = '" + keptTodo + "'") })
	return c.kept()
}

const keptTodo = "Keep this"

func (c *cluster) kept() kept {
	c.t.Helper()
	return kept{c.pings(), c.in(project).site(todoService).todosWith(keptTodo)}
}

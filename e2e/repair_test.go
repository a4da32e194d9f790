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

// TestNothingIsLostInDestroyAndUp kills a destroy and an up at random moments, each before the same command
// goes through. UP_KILLS is the number of times, 1 by default; UP_SEED repeats a sequence.
func TestNothingIsLostInDestroyAndUp(t *testing.T) {
	c := newCluster(t)
	random := newRandom(t, "UP")
	pings, todos, ride := c.startPinging(), c.in(project).startAdding(), c.board()
	destroy := func() *exec.Cmd { return makeCommand(checkout, "destroy", labName()) }
	for range number(t, "UP_KILLS", 1) {
		claims, url := c.claims(), c.postgresSecret("URL")
		startAndKillWithin(t, random, 20*time.Second, destroy())
		said := run(t, destroy())
		assert.Contains(t, said, "The stack's namespaces stay, with the data in their claims: make up takes them up again, make purge deletes them.")
		_, err := c.AppsV1().StatefulSets(c.namespace).Get(t.Context(), statefulSet, metav1.GetOptions{})
		assert.True(t, apierrors.IsNotFound(err), "the StatefulSet after destroy: %v", err)
		_, err = c.CoreV1().Namespaces().Get(t.Context(), c.namespace, metav1.GetOptions{})
		assert.NoError(t, err, "destroy keeps the namespace")
		assert.Equal(t, claims, c.claims(), "destroy keeps the claims")

		startAndKillWithin(t, random, 40*time.Second, makeCommand(checkout, "up", labName()))
		makeUp(t)
		c.waitUntilReady()
		assert.Equal(t, claims, c.claims(), "up takes up the same claims")
		assert.NotEqual(t, url, c.postgresSecret("URL"), "the new Secret has other passwords than the old volume")
		pings.goesOn()
		todos.goesOn()
		ride.goesOn()
		upChangesNothing(t)
	}
	pings.end()
	todos.end()
}

// TestChangesRollOut changes images and rotates some secrets at once, or with ROTATIONS=all each of them on
// its own, and each password then to one that is configured. Before, ups with many changes are killed and
// repaired: UP_KILLS of them.
func TestChangesRollOut(t *testing.T) {
	c := newCluster(t)
	leaveSettings(t)
	random := newRandom(t, "UP")
	changed := copyCheckout(t)
	edit(t, filepath.Join(changed, "app/redisfiller/filler.go"), `"the train goes on"`,
		`"the train goes on again"`)
	edit(t, filepath.Join(changed, "app/backup/main.go"), `commands().ExecuteContext(ctx)`,
		`commands().ExecuteContext(context.WithoutCancel(ctx))`)
	ride, kept, image, fewest := c.board(), c.keepSomething(), imageRef(t, "redisfiller"), c.watchReady()

	for range number(t, "UP_KILLS", 1) {
		startAndKillWithin(t, random, 40*time.Second, changedUp(changed))
		makeUp(t)
		c.waitUntilReady()
		assert.Equal(t, kept, c.kept())
		ride.goesOn()
		upChangesNothing(t)
	}

	c.rotateAll(changed)
	c.waitUntilRolledOut(statefulSet)
	assert.NotEqual(t, image, imageRef(t, "redisfiller"))
	assert.Equal(t, []string{imageRef(t, "redisfiller")}, c.fillerImages())
	ride.goesOn()

	pulumiUp(t, checkout)
	c.waitUntilRolledOut(statefulSet)
	assert.Equal(t, image, imageRef(t, "redisfiller"), "the same sources give the same image again")
	assert.Equal(t, 1, fewest(), "pods that were ready at any time")
}

// A restore that nobody asks for any more would go on by itself, and one from another source could not take
// its place.
func TestMakeUpEndsTheRestoreOfAKilledUp(t *testing.T) {
	c := newCluster(t)
	before := c.keepSomething()
	job := func() error {
		_, err := c.BatchV1().Jobs(c.namespace).Get(t.Context(), "restore", metav1.GetOptions{})
		return err
	}
	startAndKill(t, upWith("pingpongRestoreFrom=2001-01-01T00:00:00Z", "restoreOver=pingpong"),
		func() bool { return job() == nil })
	makeUp(t)
	assert.True(t, apierrors.IsNotFound(job()), "%v", job())
	assert.Equal(t, before, c.kept())
}

// changedUp is an up in a changed checkout that also rotates passwords, changes parameters and restores the
// pings to what they are.
func changedUp(dir string) *exec.Cmd {
	now := time.Now().UTC()
	version := strconv.FormatInt(now.UnixNano(), 36)
	return upOf(dir,
		"redisPasswordVersion="+version, "postgresPasswordVersion="+version, "postgresTLSVersion="+version,
		"storageKeysVersion="+version,
		"postgresParameters=work_mem="+strconv.Itoa(1024+now.Second())+"kB",
		"pingpongRestoreFrom="+now.Format(time.RFC3339), "restoreOver=pingpong",
	)
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

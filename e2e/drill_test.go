package e2e

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestALostClusterComesBack has a second lab, whose backups are on this machine. It is deleted without a
// trace, and somebody who has nothing of it but the keys of the store brings it back.
func TestALostClusterComesBack(t *testing.T) {
	const second = "second"
	c := newCluster(t)
	lost, found := home{t, checkout, second}, home{t, copyCheckout(t), second}
	before := lookAround(t)
	settings := filepath.Join(checkout, "Pulumi."+second+".yaml")
	t.Cleanup(func() {
		found.make("lab-delete")
		_ = os.Remove(settings) // it is there if the test failed
	})
	lost.borrowBuilder()
	ride, first := c.board(), daemons(labName())

	lost.make("lab-up")
	store := startStore(t, lost.machine())
	lost.keepBackupsIn(store, nil)
	lost.make("up")
	assert.Len(t, daemons(second), 4)
	require.NotEmpty(t, withoutFiles(lookAround(t).since(before, second), second))
	ride.goesOn()

	earlier := lost.use("earlier")
	earlier.goOn()
	pings, todos := earlier.stop()
	later := lost.use("later")
	for _, namespace := range []string{exercises, project} {
		later.goOn()
		lost.shell(`kubectl -n "$1" create job drill --from cronjob/backup
			kubectl -n "$1" wait --for condition=complete --timeout 5m job/drill`, namespace)
	}
	latePings, lateTodos := later.stop()
	wanted := map[string]content{exercises: store.newest(exercises), project: store.newest(project)}
	lost.changesNothingElsewhere(labName())

	lost.make("lab-down")
	assert.Empty(t, withoutFiles(lookAround(t).since(before, second), second))
	lost.make("lab-delete")
	require.NoError(t, os.Remove(settings))
	assert.Empty(t, lookAround(t).since(before, second))
	assert.Equal(t, first, daemons(labName()))

	found.make("lab-up") // its builder has what that of the lost lab kept
	found.keepBackupsIn(store, map[string]string{"restoreFrom": "latest"})
	found.make("up")
	for namespace, want := range wanted {
		// Each replica of pingpong writes a row about itself, with an epoch after all that were restored.
		restored := store.newest(namespace)
		assert.Equal(t, want.withoutReplicas(), restored.withoutReplicas(), namespace)
		assert.GreaterOrEqual(t, restored.lastEpoch(), want.lastEpoch(), namespace)
	}
	site := found.site()
	count, kept := site.pings(), site.todos()
	t.Logf("before the backups: %s; %s. Until they were made: %s; %s. Restored: %d pings, %d todos", pings,
		todos, latePings, lateTodos, count, len(kept))
	assert.NoError(t, todos.Check(site.todosWith("earlier")))
	assert.Subset(t, lateTodos.Added, site.todosWith("later"))
	assert.GreaterOrEqual(t, count, int64(len(pings.Numbers)))
	assert.LessOrEqual(t, count, int64(len(pings.Numbers)+len(latePings.Numbers)+latePings.Failed()))

	// Numbers and ids go on behind those that were restored.
	after := found.use("after")
	after.goOn()
	pings, todos = after.stop()
	assert.NoError(t, pings.Check(count, site.pings()))
	assert.NoError(t, todos.Check(site.todosWith("after")))
	for id, title := range kept {
		assert.NotContains(t, todos.Added, id, title)
	}
	ride.goesOn()
}

// borrowBuilder gives a new lab what the builder of the tests' lab keeps, so that it does not compile all
// apps once more.
func (h home) borrowBuilder() {
	h.t.Helper()
	eventually(h.t, func() error {
		builder := daemons(labName(), "buildkitd")
		for _, process := range builder {
			_ = syscall.Kill(process, syscall.SIGTERM) // it may have ended since
		}
		if len(builder) > 0 {
			return errors.New("the builder still runs")
		}
		return nil
	})
	run(h.t, command(".", "mkdir", filepath.Join(labs, h.lab)))
	run(h.t, command(".", "cp", "--archive", filepath.Join(labs, labName(), "buildkit"),
		filepath.Join(labs, h.lab)))
	home{h.t, checkout, labName()}.make("lab-up")
}

// keepBackupsIn makes the settings for that, and further ones.
func (h home) keepBackupsIn(s *store, further map[string]string) {
	h.t.Helper()
	settings, secrets := s.settings()
	settings["dailyTodoSchedule"] = "0 0 1 1 *" // nobody but the test makes todos
	maps.Copy(settings, further)
	h.set(settings, secrets)
}

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

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/home"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/store"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/train"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// TestALostClusterComesBack starts a second lab, which keeps its backups on this machine, and deletes it
// without a trace. An operator with nothing but the keys of the store brings it back.
func TestALostClusterComesBack(t *testing.T) {
	const second = "second"
	c := newCluster(t)
	lost := home.Home{T: t, Dir: lab.Checkout, Lab: second}
	found := home.Home{T: t, Dir: pulumi.CopyCheckout(t), Lab: second}
	settings := filepath.Join(lab.Checkout, "Pulumi."+second+".yaml")
	forget := func() {
		found.Make("lab-delete")
		_ = os.Remove(settings) // it is there if the test failed
	}
	if _, err := os.Stat(filepath.Join(lab.Root, second)); err == nil {
		forget() // a test that was killed has left it
	}
	before := lab.RecordTraces(t)
	t.Cleanup(forget)
	borrowBuilder(t, lost)
	ride, first := train.Board(c), lab.Daemons(lab.Name())

	lost.Make("lab-up")
	server := store.StartServer(t, lost.MachineAddress())
	keepBackupsIn(lost, server, nil)
	lost.Make("up")
	assert.Len(t, lab.Daemons(second), 4)
	require.NotEmpty(t, lab.WithoutFiles(lab.RecordTraces(t).Since(before, second), second))
	ride.WaitUntilGoingOn()
	kept := backUpUnderLoad(lost)
	wanted := map[string]store.Content{exercises: server.Newest(exercises), project: server.Newest(project)}
	lost.ChangesNothingElsewhere(lab.Name())

	lost.Make("lab-down")
	assert.Empty(t, lab.WithoutFiles(lab.RecordTraces(t).Since(before, second), second))
	lost.Make("lab-delete")
	require.NoError(t, os.Remove(settings))
	assert.Empty(t, lab.RecordTraces(t).Since(before, second))
	assert.Equal(t, first, lab.Daemons(lab.Name()))

	found.Make("lab-up") // its builder keeps what the lost lab's builder kept
	keepBackupsIn(found, server, map[string]string{"restoreFrom": "latest"})
	found.Make("up")
	for namespace, want := range wanted {
		// Each replica of pingpong writes a row about itself, with an epoch after all restored ones.
		restored := server.Newest(namespace)
		assert.Equal(t, want.WithoutReplicas(), restored.WithoutReplicas(), namespace)
		assert.GreaterOrEqual(t, restored.LastEpoch(), want.LastEpoch(), namespace)
	}
	kept.areRestored(found)
	ride.WaitUntilGoingOn()
}

// drillTraffic is what visitors did before the backups, and until these were made.
type drillTraffic struct {
	pings, latePings load.PingAccount
	todos, lateTodos load.TodoAccount
}

// backUpUnderLoad makes a backup of each database while visitors use the apps.
func backUpUnderLoad(h home.Home) (d drillTraffic) {
	earlier := h.Site().Visit("earlier")
	earlier.WaitUntilGoingOn()
	d.pings, d.todos = earlier.Stop()
	later := h.Site().Visit("later")
	for _, namespace := range []string{exercises, project} {
		later.WaitUntilGoingOn()
		h.Shell(`kubectl -n "$1" create job drill --from cronjob/backup
			kubectl -n "$1" wait --for condition=complete --timeout 5m job/drill`, namespace)
	}
	d.latePings, d.lateTodos = later.Stop()
	return d
}

// areRestored looks for everything from before the backups, and for more of the same.
func (d drillTraffic) areRestored(h home.Home) {
	t, site := h.T, h.Site()
	count, kept := site.Pings(), site.Todos()
	t.Logf("before the backups: %s; %s. Until they were made: %s; %s. Restored: %d pings, %d todos", d.pings,
		d.todos, d.latePings, d.lateTodos, count, len(kept))
	assert.NoError(t, d.todos.Check(site.TodosWith("earlier")))
	assert.Subset(t, d.lateTodos.Added, site.TodosWith("later"))
	most := len(d.pings.Numbers) + len(d.latePings.Numbers) + d.latePings.Failed()
	assert.GreaterOrEqual(t, count, int64(len(d.pings.Numbers)))
	assert.LessOrEqual(t, count, int64(most))

	// Numbers and ids continue after the restored ones.
	after := site.Visit("after")
	after.WaitUntilGoingOn()
	pings, todos := after.Stop()
	assert.NoError(t, pings.Check(count, site.Pings()))
	assert.NoError(t, todos.Check(site.TodosWith("after")))
	for id, title := range kept {
		assert.NotContains(t, todos.Added, id, title)
	}
}

// borrowBuilder gives a new lab what the builder of the tests' lab keeps: it need not compile the apps again.
func borrowBuilder(t *testing.T, h home.Home) {
	wait.Until(t, func() error {
		builder := lab.Daemons(lab.Name(), "buildkitd")
		for _, process := range builder {
			_ = syscall.Kill(process, syscall.SIGTERM) // it may have ended since
		}
		if len(builder) > 0 {
			return errors.New("the builder still runs")
		}
		return nil
	})
	to := filepath.Join(lab.Root, h.Lab)
	proc.Run(t, proc.Command(".", "mkdir", to))
	proc.Run(t, proc.Command(".", "cp", "--archive", lab.Path("buildkit"), to))
	proc.Run(t, pulumi.Make("lab-up"))
}

// keepBackupsIn makes the settings for backups in a server, and additional ones.
func keepBackupsIn(h home.Home, s *store.Server, further map[string]string) {
	settings, secrets := s.Settings()
	settings["dailyTodoSchedule"] = "0 0 1 1 *" // only the test makes todos
	maps.Copy(settings, further)
	h.Set(settings, secrets)
}

package e2e

import (
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/rounds"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/secrets"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/train"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// TestNothingIsLostInDestroyAndUp kills a destroy and an up at random moments, each before the same command
// succeeds. UP_KILLS is the number of times, 1 by default; UP_SEED repeats a sequence.
func TestNothingIsLostInDestroyAndUp(t *testing.T) {
	c := newCluster(t)
	random := rounds.Random(t, "UP")
	pings, todos, ride := traffic.StartPings(c), traffic.StartTodos(c.In(project)), train.Board(c)
	for range rounds.Number(t, "UP_KILLS", 1) {
		claims, url := c.Claims(), postgres.Secret(c, "URL")
		proc.KillWithin(t, random, 20*time.Second, pulumi.Make("destroy"))
		said := proc.Run(t, pulumi.Make("destroy"))
		assert.Contains(t, said, "The stack's namespaces stay, with the data in their claims: "+
			"make up takes them up again, make purge deletes them.")
		assert.Empty(t, c.Kubectl("get", "statefulsets", "--output", "name"), "after destroy")
		c.Kubectl("get", "namespace", c.Namespace)
		assert.Equal(t, claims, c.Claims(), "destroy keeps the claims")

		proc.KillWithin(t, random, 40*time.Second, pulumi.Make("up"))
		pulumi.MakeUp(t)
		c.WaitUntilReady()
		assert.Equal(t, claims, c.Claims(), "up takes up the same claims")
		assert.NotEqual(t, url, postgres.Secret(c, "URL"), "the new Secret has other passwords than the old volume")
		pings.WaitUntilGoingOn()
		todos.WaitUntilGoingOn()
		ride.WaitUntilGoingOn()
		pulumi.UpChangesNothing(t)
	}
	pings.End()
	todos.End()
}

// TestChangesRollOut changes images and rotates some secrets together, or with ROTATIONS=all each of them on
// its own, and then each password to one that is configured. Before that, ups with many changes are killed
// and repaired: UP_KILLS of them.
func TestChangesRollOut(t *testing.T) {
	c := newCluster(t)
	leaveSettings()
	random := rounds.Random(t, "UP")
	changed := pulumi.CopyCheckout(t)
	edit(t, changed+"/app/redisfiller/filler.go", `"the train goes on"`, `"the train goes on again"`)
	edit(t, changed+"/app/backup/main.go", "commands().ExecuteContext(ctx)",
		"commands().ExecuteContext(context.WithoutCancel(ctx))")
	ride, kept, image := train.Board(c), keepSomething(c), pulumi.Image(t, "redisfiller")
	fewest := c.WatchReady(kube.Redis)

	for range rounds.Number(t, "UP_KILLS", 1) {
		proc.KillWithin(t, random, 40*time.Second, changedUp(changed))
		pulumi.MakeUp(t)
		c.WaitUntilReady()
		assert.Equal(t, kept, readKept(c))
		ride.WaitUntilGoingOn()
		pulumi.UpChangesNothing(t)
	}

	require.True(t, t.Run("rotations", func(t *testing.T) { rotateAll(c.For(t), changed) }))
	c.WaitUntilRolledOut("statefulset/redis-stset")
	assert.NotEqual(t, image, pulumi.Image(t, "redisfiller"))
	fillers := c.Kubectl("get", "pods", "--selector", kube.Redis, "--output",
		`jsonpath={.items[*].spec.containers[?(@.name=="redisfiller")].image}`)
	assert.Equal(t, slices.Repeat([]string{pulumi.Image(t, "redisfiller")}, 2), strings.Fields(fillers))
	ride.WaitUntilGoingOn()

	settle(t) // the settings that rotations made have ended with them
	c.WaitUntilRolledOut("statefulset/redis-stset")
	assert.Equal(t, image, pulumi.Image(t, "redisfiller"), "the same sources give the same image again")
	assert.Equal(t, 1, fewest(), "pods that were ready at any time")
}

// A restore that is no longer requested would continue by itself, and no restore from another source could
// take its place.
func TestMakeUpEndsTheRestoreOfAKilledUp(t *testing.T) {
	c := newCluster(t)
	before := keepSomething(c)
	job := func() string { return c.Kubectl("get", "job", "restore", "--ignore-not-found", "--output", "name") }
	proc.KillWhen(t, pulumi.Up(pulumi.Restoring("pingpong", "2001-01-01T00:00:00Z", true)...),
		func() bool { return job() != "" })
	pulumi.MakeUp(t)
	assert.Empty(t, job())
	assert.Equal(t, before, readKept(c))
}

// edit replaces a text that a file has once.
func edit(t *testing.T, path, before, after string) {
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(content), before), "%q in %s", before, path)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(content), before, after, 1)), 0o644))
}

// changedUp is an up in a changed checkout that also rotates passwords, changes parameters and restores the
// pings to what they are.
func changedUp(dir string) *exec.Cmd {
	now := time.Now().UTC()
	version := strconv.FormatInt(now.UnixNano(), 36)
	up := pulumi.Up(append(pulumi.Restoring("pingpong", now.Format(time.RFC3339), true),
		"secretVersions=redis="+version+"; postgres="+version+"; storage-keys="+version,
		"postgresParameters=work_mem="+strconv.Itoa(1024+now.Second())+"kB",
	)...)
	up.Dir = dir
	return up
}

// kept is what people keep in the stack.
type kept struct {
	pings int64
	todos map[int64]string
}

// keepSomething adds a ping and a todo, which is deleted when the test ends.
func keepSomething(c *kube.Cluster) kept {
	traffic.Pingpong(c).Get("/pingpong")
	postgres.Query(c.In(project), "INSERT INTO todo (title, completed) VALUES ('"+keptTodo+"', false)")
	c.T.Cleanup(func() { postgres.Query(c.In(project), "DELETE FROM todo WHERE title = '"+keptTodo+"'") })
	return readKept(c)
}

const keptTodo = "Keep this"

func readKept(c *kube.Cluster) kept {
	return kept{traffic.Pingpong(c).Pings(), traffic.Backend(c.In(project)).TodosWith(keptTodo)}
}

// passwords are the settings that take the place of generated secrets, which have these names in the setting
// secretVersions.
var passwords = map[string][]string{
	"redisPassword":          {"redis-password"},
	"postgresPassword":       {"pingpong-owner", "todo-owner"},
	"postgresReaderPassword": {"pingpong-reader", "todo-reader"},
}

// rotateAll rotates secrets with ups of a checkout.
func rotateAll(c *kube.Cluster, dir string) {
	rotations := [][]string{{"postgresPassword", "pingpong-certificate", "todo-reader", "storage-exercises-key"}}
	if os.Getenv("ROTATIONS") == "all" {
		rotations = nil
		for _, name := range append(slices.Sorted(maps.Keys(secrets.Generated(c))),
			slices.Sorted(maps.Keys(passwords))...) {
			rotations = append(rotations, []string{name})
		}
	}
	versions := map[string]bool{}
	for _, rotation := range rotations {
		var names []string
		for _, name := range rotation {
			if replaced, configured := passwords[name]; configured {
				pulumi.Configure(c.T, map[string]string{name: rand.Text()})
				for _, secret := range replaced {
					delete(versions, secret+"=rotated")
				}
				names = append(names, replaced...)
				continue
			}
			versions[name+"=rotated"] = true
			names = append(names, name)
		}
		rotate(c, dir, names, "secretVersions="+strings.Join(slices.Collect(maps.Keys(versions)), ";"))
	}
}

// rotate brings the stack of a checkout up with a setting that rotates these secrets, while clients ping and
// add todos.
func rotate(c *kube.Cluster, dir string, names []string, setting string) {
	pings, todos := traffic.StartPings(c), traffic.StartTodos(c.In(project))
	before := secrets.Read(c)
	rotation := pulumi.Up(setting)
	rotation.Dir = dir
	rotation.Args = append(rotation.Args, "--diff")
	output := proc.Run(c.T, rotation)
	c.WaitUntilReady()
	pings.WaitUntilGoingOn()
	todos.WaitUntilGoingOn()
	now := secrets.Read(c)
	s := secrets.SearchForAll(c)
	require.NoError(c.T, s.AddData(before))
	require.NoError(c.T, s.In("output", strings.NewReader(output)))
	assert.Empty(c.T, s.Found, "what up says")

	generated := secrets.Generated(c)
	var keys []string
	for _, name := range names {
		keys = append(keys, generated[name].Keys...)
	}
	slices.Sort(keys)
	assert.ElementsMatch(c.T, slices.Compact(keys), now.ChangedSince(before), names)
	for name, secret := range generated {
		wait.Until(c.T, func() error { return secret.LogIn(now, now) })
		if slices.Contains(names, name) {
			wait.Until(c.T, func() error {
				if secret.LogIn(before, now) == nil {
					return fmt.Errorf("%s: what was rotated away is still taken", name)
				}
				return nil
			})
		}
	}
	pings.End()
	todos.End()
}

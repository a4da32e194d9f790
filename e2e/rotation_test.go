package e2e

import (
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// passwords are the settings that take the place of generated secrets, which have these names in the setting
// secretVersions.
var passwords = map[string]string{
	"redisPassword":                  "redis-password",
	"pingpongPostgresPassword":       "pingpong-owner",
	"pingpongPostgresReaderPassword": "pingpong-reader",
	"todoPostgresPassword":           "todo-owner",
	"todoPostgresReaderPassword":     "todo-reader",
}

// rotateAll rotates secrets with ups of a checkout.
func (c *cluster) rotateAll(dir string) {
	c.t.Helper()
	rotations := [][]string{{"pingpong-owner", "pingpong-certificate", "todoPostgresPassword", "todo-reader",
		"storage-exercises-key"}}
	if os.Getenv("ROTATIONS") == "all" {
		rotations = nil
		for _, name := range append(slices.Sorted(maps.Keys(c.generated())),
			slices.Sorted(maps.Keys(passwords))...) {
			rotations = append(rotations, []string{name})
		}
	}
	versions := map[string]bool{}
	for _, rotation := range rotations {
		var names []string
		for _, name := range rotation {
			if password, configured := passwords[name]; configured {
				configure(c.t, map[string]string{name: rand.Text()})
				delete(versions, password+"=rotated")
				names = append(names, password)
				continue
			}
			versions[name+"=rotated"] = true
			names = append(names, name)
		}
		c.rotate(dir, names, "secretVersions="+strings.Join(slices.Collect(maps.Keys(versions)), ";"))
	}
}

// rotate brings the stack of a checkout up with a setting that rotates these secrets, while clients ping and
// add todos.
func (c *cluster) rotate(dir string, names []string, setting string) {
	c.t.Helper()
	pings, todos := c.startPinging(), c.in(project).startAdding()
	before := c.secretData()
	noPing, noTodo := silence(pings.Acknowledged), silence(todos.Acknowledged)
	started := time.Now()
	rotation := upOf(dir, setting)
	rotation.Args = append(rotation.Args, "--diff")
	output := run(c.t, rotation)
	c.waitUntilReady()
	up := time.Since(started)
	pings.goesOn()
	todos.goesOn()
	now := c.secretData()
	s := c.searchForAll()
	require.NoError(c.t, s.addData(before))
	require.NoError(c.t, s.in("output", strings.NewReader(output)))
	assert.Empty(c.t, s.found, "what up says")

	generated := c.generated()
	var keys []string
	for _, name := range names {
		keys = append(keys, generated[name].keys...)
	}
	slices.Sort(keys)
	assert.ElementsMatch(c.t, slices.Compact(keys), now.changedSince(before), names)
	for name, secret := range generated {
		eventually(c.t, func() error { return secret.logIn(now, now) })
		if slices.Contains(names, name) {
			eventually(c.t, func() error {
				if secret.logIn(before, now) == nil {
					return fmt.Errorf("%s: what was rotated away is still taken", name)
				}
				return nil
			})
		}
	}
	quietPings, quietTodos := noPing(), noTodo()
	c.t.Logf("rotated %s in %s: no ping was answered for %s, no todo for %s", strings.Join(names, ", "),
		up.Round(time.Second),
		quietPings.Round(100*time.Millisecond), quietTodos.Round(100*time.Millisecond))
	pings.end()
	todos.end()
}

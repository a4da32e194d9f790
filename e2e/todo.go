package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

const (
	todoService = "todo-backend-svc"

	// adding is how many clients add todos at the same time.
	adding = 8
)

// todos are the titles of all todos by ID, as the backend lists them.
func (s site) todos() map[int64]string {
	s.t.Helper()
	const limit = 1000
	titles := map[int64]string{}
	for path := fmt.Sprintf("/todos?limit=%d", limit); ; {
		var page []struct {
			ID    int64
			Title string
		}
		require.NoError(s.t, json.Unmarshal([]byte(s.get(path)), &page))
		for _, todo := range page {
			titles[todo.ID] = todo.Title
		}
		if len(page) < limit {
			return titles
		}
		path = fmt.Sprintf("/todos?limit=%d&after=%d", limit, page[limit-1].ID)
	}
}

func (c *cluster) todos() map[int64]string {
	c.t.Helper()
	return c.site(todoService).todos()
}

// todosWith are those whose title begins with a prefix.
func (s site) todosWith(prefix string) map[int64]string {
	s.t.Helper()
	todos := s.todos()
	maps.DeleteFunc(todos, func(_ int64, title string) bool { return !strings.HasPrefix(title, prefix) })
	return todos
}

// todoRun is clients that add todos all the time.
type todoRun struct {
	*load.Todos
	c      *cluster
	prefix string
}

// startAdding returns when every replica adds todos. They are deleted when the test ends.
func (c *cluster) startAdding() *todoRun {
	c.t.Helper()
	run := &todoRun{c: c, prefix: fmt.Sprintf("load%x", rand.Uint64())}
	run.Todos = load.StartTodos(adding, perSecond(c.t), run.prefix, c.dialer(todoService))
	c.t.Cleanup(func() {
		run.Stop()
		c.psql("DELETE FROM todo WHERE title LIKE '" + run.prefix + "%'")
	})
	run.goesOn()
	c.waitForMetric("todo-backend", `http_request_duration_seconds_count{route="POST /todos",status="201"}`)
	return run
}

// goesOn waits until todos are added from now on.
func (r *todoRun) goesOn() {
	r.c.t.Helper()
	goesOn(r.c.t, r.Acknowledged)
}

// end stops the clients and returns their account, checked against what the backend has.
func (r *todoRun) end() load.TodoAccount {
	r.c.t.Helper()
	account := r.Stop()
	r.c.t.Log(account)
	require.NoError(r.c.t, account.Check(r.c.site(todoService).todosWith(r.prefix)))
	return account
}

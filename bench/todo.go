package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

const (
	todoClients = 32
	// ratedTodos is how many todos there are while reads and writes are counted.
	ratedTodos = 10_000
)

var (
	todos     = database{namespace: "project", name: "todo"}
	todoSizes = []int{100, 10_000, 1_000_000}
)

// todoBench has the figures of all rounds, by what was measured.
type todoBench struct {
	*cluster
	pods []string

	latencies map[string][]float64 // µs
	app, peer map[string][]float64 // per second
	memory    int64
}

func measureTodo(ctx context.Context, c *cluster) (err error) {
	pods, err := c.pods(ctx, todos.namespace, "app=todo-backend")
	if err != nil {
		return err
	}
	b := &todoBench{cluster: c, pods: addresses(pods), latencies: map[string][]float64{},
		app: map[string][]float64{}, peer: map[string][]float64{}}
	defer func() { err = errors.Join(err, fillTodos(context.WithoutCancel(ctx), 0)) }()
	for range rounds {
		for _, size := range todoSizes {
			if err := fillTodos(ctx, size); err != nil {
				return err
			}
			if err := b.measurePages(ctx, size); err != nil {
				return err
			}
		}
		if err := fillTodos(ctx, ratedTodos); err != nil {
			return err
		}
		if err := b.measureRates(ctx); err != nil {
			return err
		}
	}
	settings, err := todos.settings(ctx)
	if err != nil {
		return err
	}
	b.print(settings)
	return nil
}

// fillTodos makes so many todos of the benchmark, in order of their IDs, and deletes those that were there.
// Todos of others stay.
func fillTodos(ctx context.Context, size int) error {
	_, err := todos.sql(ctx, `DELETE FROM todo WHERE title LIKE 'bench: %'`)
	if err == nil {
		_, err = todos.sql(ctx, fmt.Sprintf(`INSERT INTO todo (title, completed)
			SELECT 'bench: write a letter to number ' || n, n %% 3 = 0 FROM generate_series(1, %d) n`, size))
	}
	if err == nil {
		_, err = todos.sql(ctx, `VACUUM ANALYZE todo`) // as the server does by itself sooner or later
	}
	return err
}

// measurePages measures how long a lone client waits for a page.
func (b *todoBench) measurePages(ctx context.Context, size int) error {
	last, err := todos.sqlNumber(ctx,
		`SELECT coalesce((SELECT id FROM todo ORDER BY id OFFSET 100 LIMIT 1), 9223372036854775807)`)
	if err != nil {
		return err
	}
	for _, page := range []struct{ name, path string }{
		{"first", "/todos?limit=100"},
		{"last", "/todos?limit=100&after=" + strconv.FormatInt(last, 10)},
	} {
		r, err := send(ctx, b.network(), b.pods[:1], 1, func() (load.Request, int) {
			return load.Request{Method: "GET", Path: page.path}, http.StatusOK
		})
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s page of %d todos", page.name, size)
		fmt.Printf("%s: %s\n", name, r)
		b.latencies[name] = append(b.latencies[name], float64(r.median.Microseconds()))
	}
	return nil
}

// measureRates measures reads and writes of many clients against pgbench running the statement that each of
// them needs.
func (b *todoBench) measureRates(ctx context.Context) error {
	first, err := todos.sqlNumber(ctx, `SELECT min(id) FROM todo WHERE title LIKE 'bench: %'`)
	if err != nil {
		return err
	}
	for _, measure := range []struct {
		name, script string
		next         func() (load.Request, int)
	}{
		{
			"GET /todos/{id}",
			fmt.Sprintf("\\set id random(%d, %d)\nSELECT id, title, completed, \"order\" FROM todo WHERE id = :id;",
				first, first+ratedTodos-1),
			func() (load.Request, int) {
				id := first + rand.Int64N(ratedTodos)
				return load.Request{Method: "GET", Path: "/todos/" + strconv.FormatInt(id, 10)}, http.StatusOK
			},
		},
		{
			"GET /todos?limit=100",
			`SELECT id, title, completed, "order" FROM todo WHERE id < 9223372036854775807 ORDER BY id DESC LIMIT 101;`,
			func() (load.Request, int) {
				return load.Request{Method: "GET", Path: "/todos?limit=100"}, http.StatusOK
			},
		},
		{
			"POST /todos",
			`INSERT INTO todo (title, completed, "order") VALUES ('bench: a todo', false, NULL) RETURNING id;`,
			func() (load.Request, int) {
				return load.Request{
					Method: "POST", Path: "/todos", Header: "Content-Type: application/json\r\n",
					Body: []byte(`{"title":"bench: a todo"}`),
				}, http.StatusCreated
			},
		},
	} {
		tps, err := todos.pgbench(ctx, todoClients, measure.script)
		if err != nil {
			return err
		}
		r, err := send(ctx, b.network(), b.pods, todoClients, measure.next)
		if err != nil {
			return err
		}
		fmt.Printf("%s, %d clients: %s; pgbench %.0f/s\n", measure.name, todoClients, r, tps)
		b.app[measure.name] = append(b.app[measure.name], r.perSecond)
		b.peer[measure.name] = append(b.peer[measure.name], tps)
		memory, err := b.cluster.memory(ctx, "todo-backend")
		if err != nil {
			return err
		}
		b.memory = max(b.memory, memory)
	}
	return nil
}

// print writes the medians of all rounds.
func (b *todoBench) print(settings string) {
	fmt.Printf("\n| what | todo-backend | peer | ratio | should be |\n|---|---|---|---|---|\n")
	least, most := 0.0, 0.0
	for _, name := range slices.Sorted(maps.Keys(b.latencies)) {
		latency := median(b.latencies[name])
		if least == 0 || latency < least {
			least = latency
		}
		most = max(most, latency)
		fmt.Printf("| median latency of a lone client, µs: %s | %.0f | | | |\n", name, latency)
	}
	fmt.Printf("| the largest of these, against the smallest | %.0f | %.0f | %.2f | at most 1.3 |\n", most,
		least, most/least)
	for _, name := range slices.Sorted(maps.Keys(b.app)) {
		app, peer := median(b.app[name]), median(b.peer[name])
		fmt.Printf("| %s per second, %d clients, against its statement in pgbench | %.0f | %.0f | %.2f | at least 0.5 |\n", name, todoClients, app, peer, app/peer)
	}
	fmt.Printf("| working set of the larger container, MB | %.1f | | | at most 48 |\n", float64(b.memory)/1e6)
	fmt.Printf("\nMedians of %d rounds. %s.\n", rounds, settings)
}

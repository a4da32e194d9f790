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

// todoBench holds the figures of all rounds, by name.
type todoBench struct {
	*cluster
	pods []place

	latencies map[string][]float64 // µs
	app, peer map[string][]float64 // per second
	memory    int64
}

func measureTodo(ctx context.Context, c *cluster) (err error) {
	pods, err := c.pods(ctx, todos.namespace, "app=todo-backend")
	if err != nil {
		return err
	}
	b := &todoBench{cluster: c, pods: places(pods), latencies: map[string][]float64{},
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

// fillTodos replaces the todos of the benchmark, in the order of their IDs. Others stay.
func fillTodos(ctx context.Context, size int) error {
	_, err := todos.sql(ctx, `DELETE FROM todo WHERE title LIKE 'bench: %'`)
	if err == nil {
		_, err = todos.sql(ctx, fmt.Sprintf(`INSERT INTO todo (title, completed)
			SELECT 'bench: write a letter to number ' || n, n %% 3 = 0 FROM generate_series(1, %d) n`, size))
	}
	if err == nil {
		_, err = todos.sql(ctx, `VACUUM ANALYZE todo`) // the server would do so sooner or later
	}
	return err
}

// measurePages measures the latency of pages for a lone client.
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
		r, err := send(ctx, b.pods[:1], 1, pageAt(page.path))
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s page of %d todos", page.name, size)
		fmt.Printf("%s: %s\n", name, r)
		b.latencies[name] = append(b.latencies[name], float64(r.median.Microseconds()))
	}
	return nil
}

// endpoint is a request, and the statement that it needs as a script of pgbench.
type endpoint struct {
	name, script string
	next         func() (load.Request, int)
}

// endpoints reads and writes todos. The benchmark's have the IDs from first on.
func endpoints(first int64) []endpoint {
	return []endpoint{
		{
			"GET /todos/{id}",
			fmt.Sprintf("\\set id random(%d, %d)\n"+
				`SELECT id, title, completed, "order" FROM todo WHERE id = :id;`, first, first+ratedTodos-1),
			func() (load.Request, int) {
				id := first + rand.Int64N(ratedTodos)
				return load.Request{Method: "GET", Path: "/todos/" + strconv.FormatInt(id, 10)}, http.StatusOK
			},
		},
		{
			"GET /todos?limit=100",
			`SELECT id, title, completed, "order" FROM todo WHERE id < 9223372036854775807
				ORDER BY id DESC LIMIT 101;`,
			pageAt("/todos?limit=100"),
		},
		{
			"POST /todos",
			`INSERT INTO todo (title, completed, "order") VALUES ('bench: a todo', false, NULL) RETURNING id;`,
			newTodo,
		},
	}
}

// newTodo returns requests that add a todo.
func newTodo() (load.Request, int) {
	return load.Request{
		Method: "POST", Path: "/todos", Header: "Content-Type: application/json\r\n",
		Body: []byte(`{"title":"bench: a todo"}`),
	}, http.StatusCreated
}

// measureRates measures reads and writes of many clients against pgbench.
func (b *todoBench) measureRates(ctx context.Context) error {
	first, err := todos.sqlNumber(ctx, `SELECT min(id) FROM todo WHERE title LIKE 'bench: %'`)
	if err != nil {
		return err
	}
	for _, e := range endpoints(first) {
		tps, err := todos.pgbench(ctx, todoClients, e.script)
		if err != nil {
			return err
		}
		r, err := send(ctx, b.pods, todoClients, e.next)
		if err != nil {
			return err
		}
		fmt.Printf("%s, %d clients: %s; pgbench %.0f/s\n", e.name, todoClients, r, tps)
		b.app[e.name] = append(b.app[e.name], r.perSecond)
		b.peer[e.name] = append(b.peer[e.name], tps)
		memory, err := b.cluster.memory(ctx, "todo-backend")
		if err != nil {
			return err
		}
		b.memory = max(b.memory, memory)
	}
	return nil
}

// print prints the medians of all rounds.
func (b *todoBench) print(settings string) {
	printTable("what", "todo-backend", "peer", "ratio", "should be")
	var medians []float64
	for _, name := range slices.Sorted(maps.Keys(b.latencies)) {
		medians = append(medians, median(b.latencies[name]))
		printRow("median latency of a lone client, µs: %s | %.0f | | | ", name, median(b.latencies[name]))
	}
	most, least := slices.Max(medians), slices.Min(medians)
	printRow("the largest of these, against the smallest | %.0f | %.0f | %.2f | at most 1.3", most, least,
		most/least)
	for _, name := range slices.Sorted(maps.Keys(b.app)) {
		app, peer := median(b.app[name]), median(b.peer[name])
		printRow("%s per second, %d clients, against its statement in pgbench | %.0f | %.0f | %.2f | at least 0.5",
			name,
			todoClients, app, peer, app/peer)
	}
	printRow("working set of the larger container, MB | %.1f | | | at most 48", float64(b.memory)/1e6)
	fmt.Printf("\nMedians of %d rounds. %s.\n", rounds, settings)
}

package main

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todotest"
)

// The keys of the CronJob's Jobs are their names.
func TestWhenDailyTodoAddedATodoLast(t *testing.T) {
	store, _, server := todotest.Open(t)
	last, err := store.LastDaily(t.Context())
	require.NoError(t, err)
	assert.Zero(t, last)
	server.Exec(`INSERT INTO answer (key, added, id, title, completed) VALUES
		('daily-todo-29384758', 'epoch'::timestamptz + interval '10 s', 1, 'a', false),
		('daily-todo-29384759', 'epoch'::timestamptz + interval '20.5 s', 2, 'a', false),
		('daily-todos', now(), 3, 'a', false), ('somebody', now(), 4, 'a', false)`)
	last, err = store.LastDaily(t.Context())
	require.NoError(t, err)
	assert.InDelta(t, 20.5, last, 0.001)
}

func TestIdempotencyKeys(t *testing.T) {
	p, server := start(t)
	const key, todo = "Idempotency-Key: a key", `{"title":" a ","order":2}`
	first := p.send("POST", "/todos", todo, key)
	made := p.item(http.StatusCreated, first)
	replayed := func() {
		t.Helper()
		for _, same := range []string{todo, `{"order":2, "title":"a", "completed":false}`} {
			again := p.send("POST", "/todos", same, key)
			assert.Equal(t, first.status, again.status)
			assert.Equal(t, first.body, again.body)
			assert.Equal(t, first.header.Get("Location"), again.header.Get("Location"))
		}
	}
	replayed()
	for _, other := range []string{`{"title":"b","order":2}`, `{"title":"a"}`, `{"title":"a","order":3}`,
		`{"title":"a","order":2,"completed":true}`} {
		a := p.send("POST", "/todos", other, key)
		assert.Equal(t, `{"type":"urn:stateful-k3s:idempotency-key-reused","title":"Unprocessable Entity",`+
			`"status":422,"detail":"the idempotency key was used for another todo"}`+"\n", a.body)
	}
	p.send("PATCH", made.URL, `{"title":"changed","completed":true}`)
	replayed()
	p.send("DELETE", made.URL, "")
	replayed()
	assert.Equal(t, "[]\n", p.send("GET", "/todos", "").body)
	assert.NotEqual(t, made.ID, p.add(todo, "Idempotency-Key: A key").ID, "keys are told apart by case")

	// Keys older than a week are deleted, two with each new one.
	server.Exec(`UPDATE answer SET added = added - interval '6 days 23 hours'`)
	p.add(todo, "Idempotency-Key: 3")
	replayed()
	server.Exec(`INSERT INTO answer (key, added, id, title, completed)
		SELECT 'old ' || n, now() - interval '8 days', n, 'old', false FROM generate_series(1, 3) n`)
	p.add(todo, "Idempotency-Key: 4")
	assert.Equal(t, "1", server.Ask(`SELECT count(*)::text FROM answer WHERE key LIKE 'old %'`))
	p.add(todo, "Idempotency-Key: 5")
	assert.Equal(t, "3, 4, 5, A key, a key", server.Ask(`SELECT string_agg(key, ', ' ORDER BY key) FROM answer`))
}

// Whatever happens to the connection, and however many clients send the same request: one todo is added, and
// every client gets it.
func TestRepetitionsAddOneTodo(t *testing.T) {
	p, server, proxy := startBehindProxy(t)
	count := func(title string) string {
		return server.Ask(`SELECT count(*)::text FROM todo WHERE title = '` + title + `'`)
	}
	for what, lose := range map[string]func(string) *postgrestest.Fault{"request lost": proxy.LoseRequest,
		"answer lost": proxy.LoseAnswer} {
		lost := lose(what)
		made := p.add(`{"title":"`+what+`"}`, "Idempotency-Key: "+what)
		<-lost.Struck
		assert.Equal(t, made, p.add(`{"title":"`+what+`"}`, "Idempotency-Key: "+what))
		assert.Equal(t, "1", count(what))
	}

	late := proxy.HoldRequest("late")
	made := p.add(`{"title":"late"}`, "Idempotency-Key: late")
	<-late.Struck
	late.Release()
	assert.Equal(t, made, p.item(http.StatusOK, p.send("GET", made.URL, "")))
	assert.Equal(t, "1", count("late"))

	var clients sync.WaitGroup
	answers := make([]answer, 20)
	for i := range answers {
		clients.Go(func() {
			var err error
			answers[i], err = p.try("POST", "/todos", `{"title":"at once"}`, "Idempotency-Key: at once")
			assert.NoError(t, err)
		})
	}
	clients.Wait()
	for _, a := range answers {
		assert.Equal(t, answers[0].body, p.send("GET", a.header.Get("Location"), "").body)
		assert.Equal(t, answers[0].body, a.body)
	}
	assert.Equal(t, "1", count("at once"))
}

// A repetition waits for the first request and gets its answer.
func TestRepetitionWaitsForTheFirst(t *testing.T) {
	p, server := start(t)
	unlock := server.LockTable("todo")
	answers := make(chan answer, 2)
	for range cap(answers) {
		go func() {
			a, err := p.try("POST", "/todos", `{"title":"a"}`, "Idempotency-Key: k")
			assert.NoError(t, err)
			answers <- a
		}()
	}
	server.WaitForLocks(2)
	unlock()
	first := <-answers
	assert.Equal(t, http.StatusCreated, first.status)
	assert.Equal(t, first.body, (<-answers).body)
	assert.Len(t, p.list("/todos"), 1)
}

// A repetition finds a todo that no standby has yet. It is not answered before one has it, as the first
// request was not.
func TestRepetitionWaitsForAStandby(t *testing.T) {
	p, server := start(t)
	server.Exec(`ALTER SYSTEM SET synchronous_standby_names = 'away'`)
	server.Kill()
	server.Restart()
	p.WaitUntilReady(http.StatusOK)
	answers := make(chan answer, 1)
	go func() {
		a, err := p.try("POST", "/todos", `{"title":"a"}`, "Idempotency-Key: k")
		assert.NoError(t, err)
		answers <- a
	}()
	first := waitsForStandby(t, server, "")
	server.Exec("SELECT pg_terminate_backend(" + first + ")") // the app repeats the request by itself
	waitsForStandby(t, server, first)
	assert.Empty(t, answers)
	server.Exec(`ALTER SYSTEM RESET synchronous_standby_names`)
	server.Exec(`SELECT pg_reload_conf()`)
	assert.Equal(t, http.StatusCreated, (<-answers).status)
	assert.Len(t, p.list("/todos"), 1)
}

// waitsForStandby returns the process of a commit that waits for a standby, and is another one than before.
func waitsForStandby(t *testing.T, server *postgrestest.Server, before string) (process string) {
	t.Helper()
	require.Eventually(t, func() bool {
		process = server.Ask(`SELECT coalesce(max(pid)::text, '') FROM pg_stat_activity
			WHERE wait_event = 'SyncRep'`)
		return process != "" && process != before
	}, time.Minute, 10*time.Millisecond)
	return process
}

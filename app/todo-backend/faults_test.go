package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

const (
	away    = "the database is away"
	unknown = "the database went away while it stored the change: whether it was stored is not known"
)

// startBehindProxy starts the app on a database whose connections can be cut.
func startBehindProxy(t *testing.T) (*process, *postgrestest.Server, *postgrestest.Proxy) {
	t.Helper()
	server := postgrestest.Start(t)
	proxy := postgrestest.NewProxy(t, server)
	p := startProcess(t, "URL="+server.URLVia(proxy.Addr()))
	p.WaitUntilReady(http.StatusOK)
	return p, server, proxy
}

func TestDatabaseComesAndGoes(t *testing.T) {
	server := postgrestest.Start(t)
	server.Kill()
	p := startProcess(t, "URL="+server.URL())
	refused := func() {
		t.Helper()
		p.WaitUntilReady(http.StatusServiceUnavailable)
		for _, request := range []struct{ method, path, body string }{
			{"GET", "/todos", ""}, {"GET", "/todos/1", ""}, {"GET", "/todos/counts", ""},
			{"POST", "/todos", `{"title":"a"}`},
			{"PUT", "/todos/1", `{"title":"a"}`}, {"PATCH", "/todos/1", `{"title":"a"}`}, {"DELETE", "/todos/1", ""},
			{"DELETE", "/todos", ""},
		} {
			a := p.send(request.method, request.path, request.body)
			assert.Equal(t, problem(503, away), a.body, request)
			assert.Equal(t, "1", a.header.Get("Retry-After"), request)
		}
		a := p.send("POST", "/todos", `{"title":"a"}`, "Idempotency-Key: k")
		assert.Equal(t, problem(503, away), a.body)
	}
	refused()
	server.Restart()
	p.WaitUntilReady(http.StatusOK)
	made := p.add(`{"title":"a"}`)
	server.Kill()
	refused()
	server.Restart()
	p.WaitUntilReady(http.StatusOK)
	assert.Equal(t, []item{made}, p.list("/todos"))
}

// A running process makes the tables again if they are lost.
func TestDatabaseIsLost(t *testing.T) {
	server := postgrestest.Start(t)
	p := startProcess(t, "URL="+server.URL())
	p.WaitUntilReady(http.StatusOK)
	p.add(`{"title":"a"}`)
	server.Exec(`DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	p.WaitUntilReady(http.StatusServiceUnavailable)
	p.WaitUntilReady(http.StatusOK)
	assert.Empty(t, p.list("/todos"))
	p.add(`{"title":"b"}`)
	for _, table := range []string{"todo", "answer"} {
		server.Exec("ALTER TABLE " + table + " RENAME TO gone")
		p.WaitUntilReady(http.StatusServiceUnavailable)
		server.Exec("ALTER TABLE gone RENAME TO " + table)
		p.WaitUntilReady(http.StatusOK)
	}
}

func TestPasswordChanges(t *testing.T) {
	server := postgrestest.Start(t)
	file := filepath.Join(t.TempDir(), "URL")
	require.NoError(t, os.WriteFile(file, []byte(server.URL()+"\n"), 0o600))
	p := startProcess(t, "URL_FILE="+file)
	p.WaitUntilReady(http.StatusOK)
	server.SetPassword("battery-staple")
	server.Kill()
	server.Restart()
	p.WaitUntilReady(http.StatusServiceUnavailable)
	require.NoError(t, os.WriteFile(file, []byte(server.URL()+"\n"), 0o600))
	p.WaitUntilReady(http.StatusOK)
	p.add(`{"title":"a"}`)
	for _, password := range []string{"battery-staple", "correct-horse"} {
		assert.NotContains(t, p.Logged(), password)
	}
}

// If the connection breaks before the answer, the change may have been made; the client gets 504, not 503.
func TestLostAnswersAreNotTakenForRefusals(t *testing.T) {
	p, server, proxy := startBehindProxy(t)
	p.add(`{"title":"first"}`)
	before := "first"
	for _, test := range []struct{ method, path, body, match, after string }{
		{"POST", "/todos", `{"title":"second"}`, "second", "first, second"},
		{"PATCH", "/todos/1", `{"title":"changed"}`, "changed", "changed, second"},
		{"PUT", "/todos/1", `{"title":"replaced"}`, "replaced", "replaced, second"},
	} {
		for _, fault := range []struct {
			lose  func(match string) *postgrestest.Fault
			state string
		}{{proxy.LoseRequest, before}, {proxy.LoseAnswer, test.after}} {
			lost := fault.lose(test.match)
			a := p.send(test.method, test.path, test.body)
			<-lost.Struck
			assert.Equal(t, problem(504, unknown), a.body, test)
			assert.Equal(t, fault.state, server.Ask(`SELECT string_agg(title, ', ' ORDER BY id) FROM todo`))
		}
		before = test.after
	}
}

// Reads are retried on another connection.
func TestBrokenConnectionsDoNotDisturbReaders(t *testing.T) {
	p, _, proxy := startBehindProxy(t)
	made := p.add(`{"title":"a"}`)
	for range 10 {
		proxy.Cut()
		assert.Equal(t, []item{made}, p.list("/todos"))
		proxy.Cut()
		assert.Equal(t, made, p.item(http.StatusOK, p.send("GET", "/todos/1", "")))
		proxy.Cut()
		assert.Equal(t, `{"active":1,"completed":0}`+"\n", p.send("GET", "/todos/counts", "").body)
	}
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
		assert.Equal(t, `{"type":"urn:stateful-k3s:idempotency-key-reused","title":"Unprocessable Entity","status":422,`+
			`"detail":"the idempotency key was used for another todo"}`+"\n", a.body)
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

// Every todo with 201 is stored once, none with 503 is stored, and the others at most once.
func TestNoAcknowledgedTodoIsLost(t *testing.T) {
	server := postgrestest.Start(t)
	proxy := postgrestest.NewProxy(t, server)
	database := "URL=" + server.URLVia(proxy.Addr())
	p := startProcess(t, database)
	p.WaitUntilReady(http.StatusOK)

	var mu sync.Mutex
	current, outcomes, acknowledged := p, map[string]int{}, 0
	stopping := make(chan struct{})
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stopping:
					return
				default:
				}
				mu.Lock()
				to := current
				mu.Unlock()
				title := fmt.Sprintf("%d/%d", client, n)
				c := load.Client{Dial: to.Dial}
				status, _, err := c.Do(t.Context(), load.Request{Method: "POST", Path: "/todos",
					Header: "Content-Type: application/json\r\n", Body: fmt.Appendf(nil, `{"title":%q}`, title)})
				c.Close()
				if errors.Is(err, load.ErrNotSent) {
					status = http.StatusServiceUnavailable
				}
				mu.Lock()
				outcomes[title] = status
				if status == http.StatusCreated {
					acknowledged++
				}
				mu.Unlock()
			}
		})
	}
	goesOn := func() {
		t.Helper()
		mu.Lock()
		until := acknowledged + 50
		mu.Unlock()
		current.Eventually(func() bool {
			mu.Lock()
			defer mu.Unlock()
			return acknowledged >= until
		})
	}
	for range 4 {
		goesOn()
		server.Kill()
		server.Restart()
		goesOn()
		proxy.Cut()
		goesOn()
		current.Stop(syscall.SIGKILL)
		next := startProcess(t, database)
		next.WaitUntilReady(http.StatusOK)
		mu.Lock()
		current = next
		mu.Unlock()
	}
	goesOn()
	close(stopping)
	clients.Wait()

	var stored map[string]int
	decode(t, server.Ask(`SELECT json_object_agg(title, count)::text
		FROM (SELECT title, count(*) FROM todo GROUP BY title) counts`), &stored)
	statuses := map[int]int{}
	for title, status := range outcomes {
		statuses[status]++
		switch status {
		case http.StatusCreated:
			assert.Equal(t, 1, stored[title], title)
		case http.StatusServiceUnavailable:
			assert.Equal(t, 0, stored[title], title)
		case http.StatusGatewayTimeout, 0: // 0: no answer
			assert.LessOrEqual(t, stored[title], 1, title)
		default:
			assert.Fail(t, "unexpected", "%s: %d", title, status)
		}
	}
	t.Logf("todos by status: %v", statuses)
}

// A todo whose request is in progress at SIGTERM is stored and acknowledged.
func TestStopFinishesWhatIsUnderWay(t *testing.T) {
	p, server := start(t)
	unlock := server.LockTable("todo")
	answered := make(chan answer, 1)
	go func() {
		a, err := p.try("POST", "/todos", `{"title":"a"}`)
		assert.NoError(t, err)
		answered <- a
	}()
	server.WaitForLocks(1)
	ended := make(chan *os.ProcessState, 1)
	go func() { ended <- p.Stop(syscall.SIGTERM) }()
	p.WaitUntilReady(http.StatusServiceUnavailable)
	unlock()
	assert.Equal(t, http.StatusCreated, (<-answered).status)
	assert.Zero(t, (<-ended).ExitCode(), p.Logged())
}

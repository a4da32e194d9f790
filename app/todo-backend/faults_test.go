package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

const (
	away    = "the database is away"
	unknown = "the database went away while it stored the change: whether it was stored is not known"
)

// startBehindProxy starts the app on a database through a proxy that can cut connections.
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

// poster adds todos with titles of their own until it is stopped, and records the status of each.
type poster struct {
	mu           sync.Mutex
	to           *process
	outcomes     map[string]int
	acknowledged int
	stopping     chan struct{}
}

func (r *poster) post(t *testing.T, client int) {
	for n := 0; ; n++ {
		select {
		case <-r.stopping:
			return
		default:
		}
		r.mu.Lock()
		c := load.Client{Dial: r.to.Dial}
		r.mu.Unlock()
		title := fmt.Sprintf("%d/%d", client, n)
		status, _, err := c.Do(t.Context(), load.Request{Method: "POST", Path: "/todos",
			Header: "Content-Type: application/json\r\n", Body: fmt.Appendf(nil, `{"title":%q}`, title)})
		c.Close()
		if errors.Is(err, load.ErrNotSent) {
			status = http.StatusServiceUnavailable
		}
		r.mu.Lock()
		r.outcomes[title] = status
		if status == http.StatusCreated {
			r.acknowledged++
		}
		r.mu.Unlock()
	}
}

// goesOn waits until 50 more todos are acknowledged.
func (r *poster) goesOn() {
	acknowledged := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.acknowledged
	}
	enough := acknowledged() + 50
	r.to.Eventually(func() bool { return acknowledged() >= enough })
}

// Every todo with 201 is stored once, none with 503 is stored, and the others at most once.
func TestNoAcknowledgedTodoIsLost(t *testing.T) {
	p, server, proxy := startBehindProxy(t)
	r := &poster{to: p, outcomes: map[string]int{}, stopping: make(chan struct{})}
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() { r.post(t, client) })
	}
	for range 4 {
		r.goesOn()
		server.Kill()
		server.Restart()
		r.goesOn()
		proxy.Cut()
		r.goesOn()
		r.to.Stop(syscall.SIGKILL)
		next := startProcess(t, "URL="+server.URLVia(proxy.Addr()))
		next.WaitUntilReady(http.StatusOK)
		r.mu.Lock()
		r.to = next
		r.mu.Unlock()
	}
	r.goesOn()
	close(r.stopping)
	clients.Wait()

	var stored map[string]int
	decode(t, server.Ask(`SELECT json_object_agg(title, count)::text
		FROM (SELECT title, count(*) FROM todo GROUP BY title) counts`), &stored)
	statuses := map[int]int{}
	for title, status := range r.outcomes {
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

// A todo that is being added at SIGTERM is stored and acknowledged.
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

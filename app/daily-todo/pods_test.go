package main

import (
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/database"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	todobackend "github.com/stateful-k3s/stateful-k3s/app/todo-backend/http"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/postgres"
	"github.com/stateful-k3s/stateful-k3s/internal/wikitest"
)

// These tests have the real todo-backend, and several pods of one Job that each get another article.

// todoBackend is the handler of todo-backend on a Postgres server.
func todoBackend(t *testing.T) (http.HandlerFunc, *postgrestest.Server) {
	t.Helper()
	server := postgrestest.Start(t)
	db, err := database.Open(t.Context(), func() (string, error) { return server.URL(), nil },
		postgres.Connections, postgres.Migrations)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	store := postgres.NewStore(db)
	require.Eventually(t, func() bool { return store.Ready(t.Context()) == nil }, time.Minute,
		10*time.Millisecond)
	mux := http.NewServeMux()
	todobackend.Handle(mux, store)
	return mux.ServeHTTP, server
}

const titles = `SELECT string_agg(title, ', ' ORDER BY id) FROM todo`

func TestPodsOfAJobAddOneTodo(t *testing.T) {
	t.Parallel()
	todos, server := todoBackend(t)
	wiki, backend := wikitest.Start(t, localhost), startBackend(t, todos)
	article := wiki.Page(page, wikitest.Article("/wiki/One"), wikitest.Article("/wiki/Two"),
		wikitest.Article("/wiki/Three"))
	for _, says := range []string{"msg=added title=", `msg="already added" job=job-1`} {
		pod := start(t, article, backend, "CA_FILE="+wiki.CAFile())
		require.Equal(t, 0, pod.Wait().ExitCode(), pod.Logged())
		assert.Contains(t, pod.Logged(), says)
	}
	assert.Equal(t, "Read "+wiki.URL+"/wiki/One", server.Ask(titles))

	pod := start(t, article, backend, "CA_FILE="+wiki.CAFile(), "JOB_NAME=job-2")
	require.Equal(t, 0, pod.Wait().ExitCode(), pod.Logged())
	assert.Equal(t, "Read "+wiki.URL+"/wiki/One, Read "+wiki.URL+"/wiki/Three", server.Ask(titles))
}

func TestPodsOfAJobAddOneTodoAtTheSameTime(t *testing.T) {
	t.Parallel()
	todos, server := todoBackend(t)
	wiki, backend := wikitest.Start(t, localhost), startBackend(t, todos)
	article := wiki.Page(page, wikitest.Article("/wiki/One"), wikitest.Article("/wiki/Two"),
		wikitest.Article("/wiki/Three"))
	var pods []*apptest.Process
	for range 3 {
		pods = append(pods, start(t, article, backend, "CA_FILE="+wiki.CAFile()))
	}
	for _, pod := range pods {
		require.Equal(t, 0, pod.Wait().ExitCode(), pod.Logged())
	}
	assert.Equal(t, "1", server.Ask("SELECT count(*)::text FROM todo"))
}

func TestTodoWhoseAnswerWasLostIsAddedOnce(t *testing.T) {
	t.Parallel()
	todos, server := todoBackend(t)
	lost := func(_ http.ResponseWriter, r *http.Request) {
		todos(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	wiki, backend := wikitest.Start(t, localhost), startBackend(t, lost, lost, todos)
	pod := start(t, wiki.Page(page, wikitest.Article("/wiki/One"), wikitest.Article("/wiki/Two")), backend,
		"CA_FILE="+wiki.CAFile())
	require.Equal(t, 0, pod.Wait().ExitCode(), pod.Logged())
	assert.Contains(t, pod.Logged(), "msg=added")
	assert.Equal(t, "Read "+wiki.URL+"/wiki/One", server.Ask(titles))
}

func TestPodThatWasKilledAfterItAddedTheTodo(t *testing.T) {
	t.Parallel()
	todos, server := todoBackend(t)
	kept := func(_ http.ResponseWriter, r *http.Request) {
		todos(httptest.NewRecorder(), r)
		<-r.Context().Done()
	}
	wiki, backend := wikitest.Start(t, localhost), startBackend(t, kept, todos)
	article := wiki.Page(page, wikitest.Article("/wiki/One"), wikitest.Article("/wiki/Two"))
	pod := start(t, article, backend, "CA_FILE="+wiki.CAFile(), "TIMEOUT=10m")
	pod.Eventually(func() bool { return server.Ask("SELECT count(*)::text FROM todo") == "1" })
	pod.Stop(syscall.SIGKILL)

	pod = start(t, article, backend, "CA_FILE="+wiki.CAFile())
	require.Equal(t, 0, pod.Wait().ExitCode(), pod.Logged())
	assert.Contains(t, pod.Logged(), `msg="already added" job=job-1`)
	assert.Equal(t, "Read "+wiki.URL+"/wiki/One", server.Ask(titles))
}

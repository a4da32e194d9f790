package main

import (
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todotest"
	"github.com/stateful-k3s/stateful-k3s/internal/wikitest"
)

// These tests run several pods of one Job, which each get a different article, against the real backend.

const titles = `SELECT string_agg(title, ', ' ORDER BY id) FROM todo`

func TestPodsOfAJobAddOneTodo(t *testing.T) {
	t.Parallel()
	todos, server := todotest.Start(t)
	wiki, backend := wikitest.Start(t, localhost), startBackend(t, todos.ServeHTTP)
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
	todos, server := todotest.Start(t)
	wiki, backend := wikitest.Start(t, localhost), startBackend(t, todos.ServeHTTP)
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
	todos, server := todotest.Start(t)
	lost := func(_ http.ResponseWriter, r *http.Request) {
		todos.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	wiki, backend := wikitest.Start(t, localhost), startBackend(t, lost, lost, todos.ServeHTTP)
	pod := start(t, wiki.Page(page, wikitest.Article("/wiki/One"), wikitest.Article("/wiki/Two")), backend,
		"CA_FILE="+wiki.CAFile())
	require.Equal(t, 0, pod.Wait().ExitCode(), pod.Logged())
	assert.Contains(t, pod.Logged(), "msg=added")
	assert.Equal(t, "Read "+wiki.URL+"/wiki/One", server.Ask(titles))
}

func TestPodThatWasKilledAfterItAddedTheTodo(t *testing.T) {
	t.Parallel()
	todos, server := todotest.Start(t)
	kept := func(_ http.ResponseWriter, r *http.Request) {
		todos.ServeHTTP(httptest.NewRecorder(), r)
		<-r.Context().Done()
	}
	wiki, backend := wikitest.Start(t, localhost), startBackend(t, kept, todos.ServeHTTP)
	article := wiki.Page(page, wikitest.Article("/wiki/One"), wikitest.Article("/wiki/Two"))
	pod := start(t, article, backend, "CA_FILE="+wiki.CAFile(), "TIMEOUT=10m")
	pod.Eventually(func() bool { return server.Ask("SELECT count(*)::text FROM todo") == "1" })
	pod.Stop(syscall.SIGKILL)

	pod = start(t, article, backend, "CA_FILE="+wiki.CAFile())
	require.Equal(t, 0, pod.Wait().ExitCode(), pod.Logged())
	assert.Contains(t, pod.Logged(), `msg="already added" job=job-1`)
	assert.Equal(t, "Read "+wiki.URL+"/wiki/One", server.Ask(titles))
}

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/outcome"
	"github.com/stateful-k3s/stateful-k3s/internal/wikitest"
)

// These tests run daily-todo as a process between a fake Wikipedia and a fake todo-backend.

func TestMain(m *testing.M) { apptest.Main(m, main) }

const (
	localhost = "127.0.0.1:0"
	page      = "/wiki/Special:Random"
)

func TestAddsATodo(t *testing.T) {
	t.Parallel()
	wiki, backend := wikitest.Start(t, localhost), startBackend(t)
	ended := filepath.Join(t.TempDir(), "termination-log")
	d := start(t, wiki.Page(page, wikitest.Article("/wiki/Caf%C3%A9_(drink)")), backend, "CA_FILE="+
		wiki.CAFile(), "TERMINATION_LOG="+ended)
	require.Equal(t, 0, d.Wait().ExitCode(), d.Logged())

	require.Len(t, wiki.Requests(page), 1)
	asked := wiki.Requests(page)[0]
	assert.Equal(t, http.MethodGet, asked.Method)
	assert.Equal(t, "stateful-k3s-daily-todo-bot/1.0 (https://github.com/stateful-k3s/stateful-k3s)",
		asked.UserAgent())
	title := "Read " + wiki.URL + "/wiki/Caf%C3%A9_(drink)"
	assert.Equal(t, []post{{title: title, key: "job-1", contentType: "application/json"}}, backend.posts())
	assert.Contains(t, d.Logged(), fmt.Sprintf("level=INFO msg=added title=%q todo=/todos/17\n", title))
	assert.Equal(t, 2, strings.Count(d.Logged(), "\n"), "added, stopped: %s", d.Logged())
	said, ok := outcomeIn(t, ended)
	assert.Equal(t, fmt.Sprintf("added %q", title), said)
	assert.True(t, ok)
}

// outcomeIn reads the termination message.
func outcomeIn(t *testing.T, file string) (message string, ok bool) {
	t.Helper()
	line, err := os.ReadFile(file)
	require.NoError(t, err)
	var end outcome.Outcome
	require.NoError(t, json.Unmarshal(line, &end))
	return end.Said, end.OK
}

func TestPassesOverArticlesThatMakeNoTodo(t *testing.T) {
	t.Parallel()
	wiki, backend := wikitest.Start(t, localhost),
		startBackend(t, problem422(`{"type": "urn:example:title", "status": 422, "detail": "no such titles"}`),
			created)
	d := start(t, wiki.Page(page, wikitest.Article("/wiki/Refused"), wikitest.Article("/wiki/Train")), backend,
		"CA_FILE="+wiki.CAFile())
	require.Equal(t, 0, d.Wait().ExitCode(), d.Logged())
	assert.Equal(t, []string{"Read " + wiki.URL + "/wiki/Refused", "Read " + wiki.URL + "/wiki/Train"},
		backend.titles())
	assert.Contains(t, d.Logged(), `reason="no such titles"`)
}

func TestGivesUpOnTitlesThatAreRefused(t *testing.T) {
	t.Parallel()
	wiki, backend := wikitest.Start(t, localhost), startBackend(t, problem422(`{"detail": "no titles at all"}`))
	ended := filepath.Join(t.TempDir(), "termination-log")
	d := start(t, wiki.Page(page, wikitest.Article("/wiki/Train")), backend, "CA_FILE="+wiki.CAFile(),
		"TERMINATION_LOG="+ended)
	require.Equal(t, 1, d.Wait().ExitCode(), d.Logged())
	const gaveUp = "the backend refused 20 articles in a row: set ARTICLE_URL to another page than "
	assert.Contains(t, lastLine(d), gaveUp+wiki.URL+page)
	message, ok := outcomeIn(t, ended)
	assert.Contains(t, message, gaveUp)
	assert.False(t, ok)
	assert.Len(t, backend.posts(), 20)
}

func TestStopsWhenItIsTold(t *testing.T) {
	t.Parallel()
	wiki, backend := wikitest.Start(t, localhost), startBackend(t)
	d := start(t, wiki.Page(page, wikitest.Hang), backend, "CA_FILE="+wiki.CAFile(), "TIMEOUT=1h")
	d.Eventually(func() bool { return len(wiki.Requests(page)) == 1 })
	assert.Equal(t, 1, d.Stop(syscall.SIGTERM).ExitCode())
	assert.Contains(t, lastLine(d), "told to stop before the todo was added")
}

// start starts daily-todo as a pod of the Job job-1.
func start(t *testing.T, article string, backend *backendServer, settings ...string) *apptest.Process {
	t.Helper()
	return apptest.Start(t, append([]string{"ARTICLE_URL=" + article, "BACKEND_URL=" + backend.URL,
		"JOB_NAME=job-1", "TIMEOUT=20s"}, settings...)...)
}

func lastLine(d *apptest.Process) string {
	log := strings.TrimSuffix(d.Logged(), "\n")
	return log[strings.LastIndex(log, "\n")+1:]
}

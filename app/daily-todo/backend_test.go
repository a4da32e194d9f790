package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/freeport"
	"github.com/stateful-k3s/stateful-k3s/internal/wikitest"
)

func TestAddsOneTodoWhateverTheBackendDoes(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string][]http.HandlerFunc{
		"away for a while":   {wikitest.Status(http.StatusServiceUnavailable, "1"), created},
		"may have added it":  {wikitest.Status(http.StatusGatewayTimeout, ""), created},
		"connection cut":     {wikitest.Cut, created},
		"hanging":            {wikitest.Hang, created},
		"half of a problem":  {halfProblem, created},
		"too many at a time": {wikitest.Status(http.StatusTooManyRequests, "1"), created},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wiki, backend := wikitest.Start(t, localhost), startBackend(t, answers...)
			d := start(t, wiki.Page(page, wikitest.Article("/wiki/Train"), wikitest.Article("/wiki/Other")), backend,
				"CA_FILE="+wiki.CAFile())
			require.Equal(t, 0, d.Wait().ExitCode(), d.Logged())
			same := post{title: "Read " + wiki.URL + "/wiki/Train", key: "job-1", contentType: "application/json"}
			assert.Equal(t, []post{same, same}, backend.posts())
			assert.Len(t, wiki.Requests(page), 1)
		})
	}
}

func TestEndsWellIfTheJobHasAddedItsTodo(t *testing.T) {
	t.Parallel()
	wiki, backend := wikitest.Start(t, localhost), startBackend(t,
		problem422(`{"type": "urn:stateful-k3s:idempotency-key-reused", "status": 422, "detail": "reused"}`))
	d := start(t, wiki.Page(page, wikitest.Article("/wiki/Train")), backend, "CA_FILE="+wiki.CAFile())
	require.Equal(t, 0, d.Wait().ExitCode(), d.Logged())
	assert.Contains(t, d.Logged(), `level=INFO msg="already added" job=job-1`)
	assert.Len(t, backend.posts(), 1)
}

func TestSaysWhatTheBackendDoesWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"refuses": {answerProblem(http.StatusBadRequest, `{"status": 400, "detail": "no good"}`),
			"400 Bad Request: no good; BACKEND_URL must be the address of todo-backend"},
		"is something else": {answerProblem(http.StatusNotFound, "404 page not found\n"),
			"404 Not Found: 404 page not found; BACKEND_URL must be"},
		"redirects":       {wikitest.Article("http://localhost/"), "302 Found: ; BACKEND_URL must be"},
		"does not create": {endless, "200 OK: " + strings.Repeat("x", 200) + "; BACKEND_URL must be"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wiki, backend := wikitest.Start(t, localhost), startBackend(t, test.answer)
			d := start(t, wiki.Page(page, wikitest.Article("/wiki/Train")), backend, "CA_FILE="+wiki.CAFile())
			require.Equal(t, 1, d.Wait().ExitCode(), d.Logged())
			assert.Contains(t, lastLine(d), test.says)
			assert.Len(t, backend.posts(), 1)
		})
	}
}

func TestGivesUpWhileTheBackendIsAway(t *testing.T) {
	t.Parallel()
	wiki := wikitest.Start(t, localhost)
	port := freeport.Find(t)
	d := apptest.Start(t, "ARTICLE_URL="+wiki.Page(page, wikitest.Article("/wiki/Train")),
		"BACKEND_URL=http://localhost:"+port,
		"JOB_NAME=job-1", "CA_FILE="+wiki.CAFile(), "TIMEOUT=2s")
	require.Equal(t, 1, d.Wait().ExitCode(), d.Logged())
	assert.Contains(t, lastLine(d), `add the todo \"Read `+wiki.URL+`/wiki/Train\": POST http://localhost:`+
		port+`/todos: dial tcp`)
	assert.Contains(t, lastLine(d),
		"connection refused (is it up, and may this pod reach it?); given up after")
}

// post is a request to POST /todos.
type post struct{ title, key, contentType string }

// backendServer answers each post with the next answer, and repeats the last one.
type backendServer struct {
	*httptest.Server
	mu   sync.Mutex
	sent []post
}

func startBackend(t *testing.T, answers ...http.HandlerFunc) *backendServer {
	t.Helper()
	if len(answers) == 0 {
		answers = []http.HandlerFunc{created}
	}
	b := &backendServer{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var todo struct{ Title string }
		body, err := io.ReadAll(r.Body)
		if assert.NoError(t, err) && assert.Equal(t, "POST /todos", r.Method+" "+r.URL.Path) {
			assert.NoError(t, json.Unmarshal(body, &todo))
		}
		r.Body = io.NopCloser(bytes.NewReader(body)) // an answer may read it
		b.mu.Lock()
		b.sent = append(b.sent, post{todo.Title, r.Header.Get("Idempotency-Key"), r.Header.Get("Content-Type")})
		answer := answers[min(len(b.sent), len(answers))-1]
		b.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(func() {
		b.CloseClientConnections() // hanging ones too
		b.Close()
	})
	return b
}

func (b *backendServer) posts() []post {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sent
}

func (b *backendServer) titles() (titles []string) {
	for _, post := range b.posts() {
		titles = append(titles, post.title)
	}
	return titles
}

func created(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", "/todos/17")
	w.WriteHeader(http.StatusCreated)
}

func answerProblem(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func problem422(body string) http.HandlerFunc {
	return answerProblem(http.StatusUnprocessableEntity, body)
}

func halfProblem(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "100")
	problem422(`{"type": "urn:`)(w, r)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func endless(w http.ResponseWriter, r *http.Request) {
	for chunk := bytes.Repeat([]byte("x"), 1<<16); r.Context().Err() == nil; {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
)

// The test binary is the app too.
func TestMain(m *testing.M) { apptest.Main(m, main) }

// process is a running todo-backend.
type process struct {
	*apptest.Process
	t *testing.T
}

// startProcess starts the app with settings, NAME=value each.
func startProcess(t *testing.T, settings ...string) *process {
	t.Helper()
	return &process{apptest.Start(t, settings...), t}
}

// start starts the app on an empty database, and returns when it is ready.
func start(t *testing.T, settings ...string) (*process, *postgrestest.Server) {
	t.Helper()
	server := postgrestest.Start(t)
	p := startProcess(t, append(settings, "URL="+server.URL())...)
	p.WaitUntilReady(http.StatusOK)
	return p, server
}

// answer is the answer to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request with an optional JSON body. Headers are "Name: value".
func (p *process) send(method, path, body string, headers ...string) answer {
	p.t.Helper()
	a, err := p.try(method, path, body, headers...)
	require.NoError(p.t, err)
	return a
}

func (p *process) try(method, path, body string, headers ...string) (answer, error) {
	url := path
	if strings.HasPrefix(path, "/") {
		url = p.URL(path)
	}
	// The test's context would end before its goroutines do.
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header[http.CanonicalHeaderKey(name)] = []string{value}
		if name == "Host" {
			request.Host = value
		}
	}
	// On a reused connection, Go's client would retry some requests by itself.
	request.Close = true
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(raw)}, err
}

// item is a todo as clients see it.
type item struct {
	ID        int64  `json:"id"`
	Title     string `json:"title"`
	Completed bool   `json:"completed"`
	Order     *int   `json:"order"`
	URL       string `json:"url"`
}

// item returns the todo in an answer, which must have exactly the expected members.
func (p *process) item(status int, a answer) item {
	p.t.Helper()
	require.Equal(p.t, status, a.status, a.body)
	require.Equal(p.t, "application/json", a.header.Get("Content-Type"))
	var members map[string]any
	decode(p.t, a.body, &members)
	require.Len(p.t, members, 5)
	var i item
	decode(p.t, a.body, &i)
	return i
}

// add adds a todo.
func (p *process) add(body string, headers ...string) item {
	p.t.Helper()
	return p.item(http.StatusCreated, p.send("POST", "/todos", body, headers...))
}

// list returns the todos at a path.
func (p *process) list(path string) []item {
	p.t.Helper()
	a := p.send("GET", path, "")
	require.Equal(p.t, http.StatusOK, a.status, a.body)
	var list []item
	decode(p.t, a.body, &list)
	return list
}

func titles(list []item) []string {
	titles := []string{}
	for _, i := range list {
		titles = append(titles, i.Title)
	}
	return titles
}

// decode reads JSON strictly.
func decode(t testing.TB, text string, into any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(into), text)
	require.False(t, decoder.More(), text)
}

// problem returns the body of a refusal.
func problem(status int, detail string) string {
	return fmt.Sprintf(`{"title":%q,"status":%d,"detail":%q}`+"\n", http.StatusText(status), status, detail)
}

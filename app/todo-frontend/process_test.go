package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todotest"
)

func TestMain(m *testing.M) { apptest.Main(m, main) }

// todos is the real backend with a real database. It can go away and come back.
type todos struct {
	t       *testing.T
	handler http.Handler
	address string
	server  *httptest.Server
}

func startTodos(t *testing.T) *todos {
	t.Helper()
	handler, _ := todotest.Start(t)
	backend := &todos{t: t, handler: handler, address: "localhost:0"}
	backend.comeBack()
	t.Cleanup(func() { backend.server.Close() })
	return backend
}

func (b *todos) comeBack() {
	b.t.Helper()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", b.address)
	require.NoError(b.t, err)
	b.address = listener.Addr().String()
	b.server = httptest.NewUnstartedServer(b.handler)
	b.server.Listener.Close()
	b.server.Listener = listener
	b.server.Start()
}

func (b *todos) goAway() { b.server.Close() }

// site is the frontend with the backend behind it.
type site struct {
	*apptest.Process
	t       *testing.T
	backend *todos
}

func startSite(t *testing.T, settings ...string) site {
	t.Helper()
	backend := startTodos(t)
	return site{startFrontend(t, "http://"+backend.address, settings...), t, backend}
}

func startFrontend(t *testing.T, backend string, settings ...string) *apptest.Process {
	t.Helper()
	p := apptest.Start(t, append(settings, "BACKEND_URL="+backend)...)
	p.WaitUntilReady(http.StatusOK)
	return p
}

// answer is the answer to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request and follows no redirect. Headers alternate names and values.
func send(t *testing.T, method, address, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		}
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response.StatusCode, response.Header, string(content)}
}

// form sends a form as a browser without a script does.
func (s site) form(path string, fields url.Values) answer {
	s.t.Helper()
	return send(s.t, http.MethodPost, s.URL(path), fields.Encode(), "Content-Type",
		"application/x-www-form-urlencoded", "Origin", s.URL(""))
}

// add adds todos. In a new database their IDs start at 1.
func (s site) add(titles ...string) {
	s.t.Helper()
	for _, title := range titles {
		a := send(s.t, http.MethodPost, s.URL("/todos"), `{"title": "`+title+`"}`, "Content-Type",
			"application/json")
		require.Equal(s.t, http.StatusCreated, a.status, a.body)
	}
}

// page gets and parses a page.
func (s site) page(path string) document {
	s.t.Helper()
	return parse(s.t, send(s.t, http.MethodGet, s.URL(path), ""))
}

// document is a page of HTML.
type document struct {
	t      *testing.T
	status int
	root   *html.Node
}

func parse(t *testing.T, a answer) document {
	t.Helper()
	require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"), a.body)
	root, err := html.Parse(strings.NewReader(a.body))
	require.NoError(t, err)
	return document{t, a.status, root}
}

// find returns the element with an ID.
func (d document) find(id string) *html.Node {
	d.t.Helper()
	for node := range d.root.Descendants() {
		if attribute(node, "id") == id {
			return node
		}
	}
	require.FailNow(d.t, "the page has no element", id)
	return nil
}

func (d document) text(id string) string {
	d.t.Helper()
	return text(d.find(id))
}

// shown reports whether an element is visible.
func (d document) shown(id string) bool {
	d.t.Helper()
	return !has(d.find(id), "hidden")
}

// rows returns the todos as "x title" if completed, "- title" if active, and "e title" if being edited.
func (d document) rows() []string {
	d.t.Helper()
	rows := []string{}
	for li := range d.find("todos").ChildNodes() {
		kind, title := "e ", ""
		for node := range li.Descendants() {
			switch {
			case attribute(node, "type") == "checkbox" && has(node, "checked"):
				kind = "x "
			case attribute(node, "type") == "checkbox":
				kind = "- "
			case attribute(node, "class") == "title":
				title = text(node)
			case attribute(node, "name") == "title":
				title = attribute(node, "value")
			}
		}
		rows = append(rows, kind+title)
	}
	return rows
}

func text(node *html.Node) string {
	var all strings.Builder
	for child := range node.Descendants() {
		if child.Type == html.TextNode {
			all.WriteString(child.Data)
		}
	}
	return all.String()
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(node *html.Node, name string) bool {
	return slices.ContainsFunc(node.Attr, func(a html.Attribute) bool { return a.Key == name })
}

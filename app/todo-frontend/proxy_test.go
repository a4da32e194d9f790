package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todotest"
)

func TestForwardsTodos(t *testing.T) {
	s := startSite(t)
	json := []string{"Content-Type", "application/json"}
	added := send(t, http.MethodPost, s.URL("/todos"), `{"title": "Buy milk"}`,
		append(json, "Idempotency-Key", "1")...)
	require.Equal(t, http.StatusCreated, added.status)
	assert.Equal(t, s.URL("/todos/1"), added.header.Get("Location"))
	s.add("Sleep")
	again := send(t, http.MethodPost, s.URL("/todos"), `{"title": "Buy milk"}`,
		append(json, "Idempotency-Key", "1")...)
	assert.Equal(t, added.body, again.body)

	list := send(t, http.MethodGet, s.URL("/todos?limit=1"), "", "Origin", "http://elsewhere.example")
	assert.Equal(t, `[{"id":2,"title":"Sleep","completed":false,"order":null,"url":"`+
		s.URL("/todos/2")+`"}]`+"\n", list.body)
	assert.Equal(t, "<"+s.URL("/todos?after=2&limit=1")+`>; rel="next"`, list.header.Get("Link"))
	assert.Len(t, list.header.Values("X-Request-Id"), 1)
	assert.Equal(t, http.StatusNotModified,
		send(t, http.MethodGet, s.URL("/todos?limit=1"), "", "If-None-Match", list.header.Get("ETag")).status)
	for name := range list.header {
		assert.False(t, strings.HasPrefix(name, "Access-Control-"), name)
	}

	assert.Equal(t, http.StatusOK,
		send(t, http.MethodPatch, s.URL("/todos/1"), `{"completed": true}`, json...).status)
	assert.Equal(t, http.StatusOK,
		send(t, http.MethodPut, s.URL("/todos/1"), `{"title": "Buy oat milk", "completed": true}`, json...).status)
	assert.Equal(t, []string{"- Sleep", "x Buy oat milk"}, s.page("/").rows())
	assert.Equal(t, http.StatusNoContent, send(t, http.MethodDelete, s.URL("/todos/1"), "").status)
	assert.Equal(t, http.StatusNotFound, send(t, http.MethodGet, s.URL("/todos/1"), "").status)
	assert.Equal(t, http.StatusMethodNotAllowed,
		send(t, http.MethodPost, s.URL("/todos/2"), `{}`, json...).status)
	refused := send(t, http.MethodPost, s.URL("/todos"), `{"title": ""}`, json...)
	assert.Equal(t, http.StatusUnprocessableEntity, refused.status)
	assert.Equal(t, `{"title":"Unprocessable Entity","status":422,"detail":"the title is empty"}`+"\n",
		refused.body)
}

// start starts the frontend in front of a backend that answers as the handler does.
func start(t *testing.T, backend http.HandlerFunc) *apptest.Process {
	t.Helper()
	server := httptest.NewServer(backend)
	t.Cleanup(server.Close)
	return startFrontend(t, server.URL)
}

func TestTellsTheBackendHowTheVisitorCame(t *testing.T) {
	var seen http.Header
	p := start(t, func(_ http.ResponseWriter, r *http.Request) { seen = r.Header })
	for _, test := range []struct {
		headers                  []string
		host, proto, id, visitor string
	}{
		{[]string{"Host", "localhost:8080", "X-Request-Id", "7"}, "localhost:8080", "http", "7", "127.0.0.1"},
		{
			[]string{"X-Forwarded-Host", "todo.example:8443", "X-Forwarded-Proto", "https", "X-Forwarded-For",
				"192.0.2.7", "X-Request-Id", "8"},
			"todo.example:8443", "https", "8", "192.0.2.7, 127.0.0.1",
		},
	} {
		send(t, http.MethodGet, "http://127.0.0.1:"+p.Port+"/todos", "", test.headers...)
		assert.Equal(t, test.host, seen.Get("X-Forwarded-Host"))
		assert.Equal(t, test.proto, seen.Get("X-Forwarded-Proto"))
		assert.Equal(t, test.id, seen.Get("X-Request-Id"))
		assert.Equal(t, test.visitor, seen.Get("X-Forwarded-For"))
	}
}

func TestOtherOriginsAreNotAllowedIn(t *testing.T) {
	p := start(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Expose-Headers",
			"Access-Control-Max-Age"} {
			w.Header().Set(name, "*")
		}
	})
	for _, method := range []string{http.MethodGet, http.MethodOptions} {
		for name := range send(t, method, p.URL("/todos"), "", "Origin", "http://elsewhere.example").header {
			assert.False(t, strings.HasPrefix(name, "Access-Control-"), name)
		}
	}
}

func TestLargeBodiesAreRefused(t *testing.T) {
	var received []int
	p := start(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received = append(received, len(body))
	})
	assert.Equal(t, http.StatusOK, send(t, http.MethodPost, p.URL("/todos"), strings.Repeat("x", 16<<10)).status)
	for _, rest := range []string{
		"Content-Length: 16385\r\n\r\n" + strings.Repeat("x", 16<<10+1),
		"Transfer-Encoding: chunked\r\n\r\n100000\r\n" + strings.Repeat("x", 1<<20) + "\r\n0\r\n\r\n",
	} {
		conn, err := p.Dial(t.Context())
		require.NoError(t, err)
		defer conn.Close()
		// Go's client may take the end of its writing for the answer.
		go func() { _, _ = io.WriteString(conn, "POST /todos HTTP/1.1\r\nHost: localhost\r\n"+rest) }()
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		content, err := io.ReadAll(response.Body)
		response.Body.Close()
		require.NoError(t, err)
		assert.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
		assert.Equal(t, `{"title":"Request Entity Too Large","status":413,`+
			`"detail":"the body has more than 16384 bytes"}`+"\n", string(content))
	}
	assert.Equal(t, []int{16 << 10}, received)
}

func TestBodiesThatBreakOffAreRefused(t *testing.T) {
	p := start(t, func(http.ResponseWriter, *http.Request) { assert.Fail(t, "the backend was asked") })
	conn, err := p.Dial(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn,
		"POST /todos HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n")
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, http.StatusBadRequest, response.StatusCode)
	assert.Contains(t, string(content), `"detail":"the body is incomplete: `)
}

// Once a request was sent, the answer is 502, because it may have been handled.
func TestBackendBreaksOff(t *testing.T) {
	p := start(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			conn.Close()
		}
	})
	broken := send(t, http.MethodPost, p.URL("/todos"), "{}", "Content-Type", "application/json")
	assert.Equal(t, http.StatusBadGateway, broken.status)
	assert.Equal(t, `{"title":"Bad Gateway","status":502,`+
		`"detail":"the todos are away: whether this was done is not known"}`+"\n", broken.body)
	assert.Equal(t, http.StatusServiceUnavailable, send(t, http.MethodGet, p.URL("/"), "").status)
}

func TestBackendTalksNonsense(t *testing.T) {
	for _, status := range []int{200, 302, 404, 429, 500} {
		p := start(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html>nonsense")
		})
		assert.Equal(t, http.StatusServiceUnavailable, send(t, http.MethodGet, p.URL("/"), "").status, status)
		added := send(t, http.MethodPost, p.URL("/form/complete/1"), "", "Content-Type",
			"application/x-www-form-urlencoded")
		assert.NotEqual(t, http.StatusOK, added.status)
	}
}

// A backend that takes requests and never answers does not hold up visitors for long.
func TestBackendHangs(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "localhost:0")
	require.NoError(t, err)
	defer listener.Close() // the kernel accepts connections, but no program reads
	p := startFrontend(t, "http://"+listener.Addr().String())
	forwarded := make(chan answer, 1)
	go func() {
		forwarded <- send(t, http.MethodPost, p.URL("/todos"), "{}", "Content-Type", "application/json")
	}()
	page := parse(t, send(t, http.MethodGet, p.URL("/"), ""))
	assert.Equal(t, http.StatusServiceUnavailable, page.status)
	assert.True(t, page.shown("away"))
	a := <-forwarded
	assert.Equal(t, http.StatusGatewayTimeout, a.status)
	assert.Equal(t, `{"title":"Gateway Timeout","status":504,`+
		`"detail":"the todos are away: whether this was done is not known"}`+"\n", a.body)
}

// While the database hangs, visitors get the backend's answer: the frontend waits longer for it.
func TestTheBackendGivesUpFirst(t *testing.T) {
	backend, database := todotest.Start(t)
	server := httptest.NewServer(backend)
	t.Cleanup(server.Close)
	p := startFrontend(t, server.URL)
	defer database.LockAll("todo")()

	var visitors sync.WaitGroup
	for path, method := range map[string]string{"/todos": http.MethodDelete, "/todos/1": http.MethodDelete} {
		visitors.Go(func() {
			assert.Equal(t, `{"title":"Gateway Timeout","status":504,"detail":"the database went away while it `+
				`stored the change: whether it was stored is not known"}`+"\n", send(t, method, p.URL(path), "").body)
		})
	}
	for path, method := range map[string]string{"/": http.MethodGet, "/form/clear": http.MethodPost} {
		visitors.Go(func() {
			send(t, method, p.URL(path), "", "Content-Type", "application/x-www-form-urlencoded")
		})
	}
	visitors.Wait()
	assert.Contains(t, p.Logged(), `method=GET path=/todos error="it answered 503 `)
	assert.Contains(t, p.Logged(), `method=DELETE path=/todos error="it answered 504 `)
	assert.NotContains(t, p.Logged(), "deadline")
}

func TestUnusableSettings(t *testing.T) {
	for _, backend := range []string{"", "todo-backend-svc:80", "ftp://todos", "http://%zz"} {
		p := apptest.Start(t, "BACKEND_URL="+backend, "OWN_ORIGINS=x")
		assert.Equal(t, 1, p.Wait().ExitCode(), backend)
		assert.Contains(t, p.Logged(), `is not an address such as http://todo-backend-svc`)
		assert.Contains(t, p.Logged(), `OWN_ORIGINS: \"x\" is not an origin such as https://todo.example.com`)
	}
}

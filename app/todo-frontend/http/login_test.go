package http

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/backend"
)

// hash returns bcrypt's cheapest hash of a password.
func hash(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	require.NoError(t, err)
	return string(hash)
}

// startPage returns a page that wants a login, and the paths that its backend is asked for.
func startPage(t *testing.T, users string) (page http.Handler, asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var paths []string
	todos := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		paths = append(paths, r.URL.Path)
		_, _ = fmt.Fprint(w, "{}")
	}))
	t.Cleanup(todos.Close)
	address, err := url.Parse(todos.URL)
	require.NoError(t, err)
	login, err := NewLogin(users)
	require.NoError(t, err)
	mux := http.NewServeMux()
	Register(mux, backend.New(address), newGuard(t), login)
	return mux, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return paths
	}
}

// Each request without a login is refused, whatever else it is, and the backend hears of none.
func TestNothingIsAnsweredWithoutALogin(t *testing.T) {
	page, asked := startPage(t, "alice:"+hash(t, "swordfish")+"\nbob:"+hash(t, "opensesame"))
	basic := func(name, password string) string {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(name, password)
		return r.Header.Get("Authorization")
	}
	logins := []string{
		"", "Basic", "Basic ", "Basic !", "Bearer swordfish", "basic", "Digest username=alice",
		basic("alice", ""), basic("", "swordfish"), basic("alice", "swordfish "), basic("alice", "Swordfish"),
		basic("Alice", "swordfish"), basic("alice", "opensesame"), basic("mallory", "swordfish"),
		basic("alice", strings.Repeat("x", 100)), basic("alice:swordfish", ""), basic("alice\x00", "swordfish"),
	}
	targets := []struct{ method, path string }{
		{"GET", "/"}, {"HEAD", "/"}, {"GET", "/?show=done"}, {"POST", "/form/add"}, {"POST", "/form/complete/1"},
		{"POST", "/form/edit/1"}, {"POST", "/form/delete/1"}, {"POST", "/form/clear"}, {"GET", "/todos"},
		{"HEAD", "/todos"}, {"POST", "/todos"}, {"OPTIONS", "/todos"}, {"DELETE", "/todos"}, {"GET", "/todos/1"},
		{"PUT", "/todos/1"}, {"PATCH", "/todos/1"}, {"DELETE", "/todos/1"}, {"GET", "/todos/counts"},
	}
	requests := 0
	for _, target := range targets {
		for _, login := range logins {
			for _, contentType := range []string{"application/json", formType} {
				request := httptest.NewRequestWithContext(t.Context(), target.method, target.path,
					strings.NewReader("title=x"))
				request.Host = "localhost"
				request.Header.Set("Content-Type", contentType)
				if login != "" {
					request.Header.Set("Authorization", login)
				}
				answer := httptest.NewRecorder()
				page.ServeHTTP(answer, request)
				what := fmt.Sprint(target, login, contentType)
				require.Equal(t, http.StatusUnauthorized, answer.Code, what)
				require.Equal(t, `Basic realm="Todos", charset="UTF-8"`, answer.Header().Get("WWW-Authenticate"),
					what)
				requests++
			}
		}
	}
	require.Greater(t, requests, 200)
	require.Empty(t, asked())
}

func TestUsersAreLetIn(t *testing.T) {
	page, asked := startPage(t, "alice:"+hash(t, "swordfish")+" zoë:"+hash(t, "opensesame"))
	for name, password := range map[string]string{"alice": "swordfish", "zoë": "opensesame"} {
		for range 3 { // the first is compared with the hash, the others with what was right before
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/todos", http.NoBody)
			request.Host = "localhost"
			request.SetBasicAuth(name, password)
			answer := httptest.NewRecorder()
			page.ServeHTTP(answer, request)
			assert.Equal(t, http.StatusOK, answer.Code, name)

			request.SetBasicAuth(name, password+"x")
			answer = httptest.NewRecorder()
			page.ServeHTTP(answer, request)
			assert.Equal(t, http.StatusUnauthorized, answer.Code, name)
		}
	}
	assert.Len(t, asked(), 6)
}

func TestUsersThatAreNone(t *testing.T) {
	none, err := NewLogin(" \n")
	require.NoError(t, err)
	require.Nil(t, none)
	for _, wrong := range []string{"alice", "alice:", ":" + hash(t, "swordfish"), "alice:swordfish",
		"alice:{SHA}abc"} {
		_, err := NewLogin("bob:" + hash(t, "opensesame") + " " + wrong)
		require.EqualError(t, err, "user 2 is not NAME:HASH, as htpasswd -nB NAME prints it", wrong)
	}
}

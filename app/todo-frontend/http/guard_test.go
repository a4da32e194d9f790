package http

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ask sends a request to a guard in front of a handler that answers 204. Headers alternate names and values.
func ask(t *testing.T, g *Guard, method, host string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, "/", http.NoBody)
	request.Host = host
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	g.protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})).ServeHTTP(answer, request)
	return answer
}

func newGuard(t *testing.T, origins ...string) *Guard {
	t.Helper()
	g, err := NewGuard([]string{"todo-frontend-svc", "todo-frontend-svc.project.svc", "todo.example.com"},
		origins)
	require.NoError(t, err)
	return g
}

func TestNamesOfThePage(t *testing.T) {
	g := newGuard(t, "https://own.example.com:8443", "http://[fd00::1]:8080")
	for _, own := range []string{
		"10.231.188.2", "10.231.188.2:8080", "[::1]:8080", "[::1]", "[fe80::1%25eth0]",
		"localhost", "localhost:8080", "LocalHost", "localhost.", "todo-frontend-svc",
		"todo-frontend-svc.project.svc:80",
		"todo.example.com", "TODO.example.com:8443", "own.example.com", "own.example.com:8443",
	} {
		assert.Equal(t, http.StatusNoContent, ask(t, g, http.MethodGet, own).Code, own)
	}
	for _, other := range []string{
		"elsewhere.example", "todo.example.com.elsewhere.example", "10.231.188.2.elsewhere.example", "x.localhost",
		"localhostx",
		"www.todo.example.com", "example.com", "todo-frontend-svc.other.svc", "10.231.188", "0x7f.1", "", ":80",
		"a:b:c", "[::1", "*",
	} {
		answer := ask(t, g, http.MethodGet, other)
		assert.Equal(t, http.StatusMisdirectedRequest, answer.Code, other)
		assert.Equal(t, "nosniff", answer.Header().Get("X-Content-Type-Options"), other)
	}
}

func TestOriginsOfThePage(t *testing.T) {
	g := newGuard(t, "https://own.example.com:8443")
	for origin, status := range map[string]int{
		"https://own.example.com:8443": http.StatusNoContent,
		"http://10.231.188.2":          http.StatusNoContent, // is the Host
		"http://own.example.com:8443":  http.StatusForbidden,
		"https://own.example.com":      http.StatusForbidden,
		"http://todo.example.com":      http.StatusForbidden,
		"http://elsewhere.example":     http.StatusForbidden,
	} {
		assert.Equal(t, status, ask(t, g, http.MethodPost, "10.231.188.2", "Origin", origin).Code, origin)
	}
	for _, wrong := range []string{"todo.example.com", "https://todo.example.com/", "*"} {
		_, err := NewGuard(nil, []string{wrong})
		assert.ErrorContains(t, err, "is not an origin such as https://todo.example.com", wrong)
	}
}

// Browsers get a page and programs get JSON. Both say what was compared. Neither tells strangers how to let
// themselves in.
func TestRefusalsSayWhatWasCompared(t *testing.T) {
	const browser = "text/html,application/xhtml+xml,*/*;q=0.8"
	for _, test := range []struct {
		method, host string
		headers      []string
		json         string
		shown        []string
		hidden       string
	}{
		{
			http.MethodPost, "10.231.188.2", []string{"Origin", "http://todo.lan:81"},
			`{"title":"Forbidden","status":403,"detail":` +
				`"a page of another site asked for this: Origin is \"http://todo.lan:81\", ` +
				`and Host \"10.231.188.2\""}` + "\n",
			[]string{"Nothing was changed", "http://todo.lan:81 <small>Origin", "10.231.188.2 <small>Host"},
			"Sec-Fetch-Site",
		},
		{
			http.MethodPost, "10.231.188.2",
			[]string{"Origin", "https://elsewhere.example", "Sec-Fetch-Site", "cross-site"},
			`{"title":"Forbidden","status":403,"detail":` +
				`"a page of another site asked for this: Sec-Fetch-Site is \"cross-site\""}` + "\n",
			[]string{"Nothing was changed", "https://elsewhere.example <small>Origin",
				"cross-site <small>Sec-Fetch-Site"}, "it does not name",
		},
		{
			http.MethodPost, "10.231.188.2", []string{"Origin", "null"},
			`{"title":"Forbidden","status":403,"detail":` +
				`"a page of another site asked for this: Origin is \"null\", ` +
				`and Host \"10.231.188.2\""}` + "\n",
			[]string{"Nothing was changed", "null <small>Origin"}, "Sec-Fetch-Site",
		},
		{
			http.MethodGet, "todo.lan:81", nil,
			`{"title":"Misdirected Request","status":421,"detail":` +
				`"this site is not called \"todo.lan:81\" (Host)"}` + "\n",
			[]string{"No todos here", "todo.lan:81 <small>Host"}, "Sec-Fetch-Site",
		},
		{
			http.MethodGet, "<b>x</b>", nil,
			`{"title":"Misdirected Request","status":421,"detail":` +
				`"this site is not called \"\u003cb\u003ex\u003c/b\u003e\" (Host)"}` + "\n",
			[]string{"&lt;b&gt;x&lt;/b&gt; <small>Host"}, "<b>",
		},
	} {
		g := newGuard(t)
		assert.Equal(t, test.json, ask(t, g, test.method, test.host,
			append(test.headers, "Accept", "*/*")...).Body.String())
		answer := ask(t, g, test.method, test.host, append(test.headers, "Accept", browser)...)
		assert.Equal(t, "text/html; charset=utf-8", answer.Header().Get("Content-Type"))
		for _, text := range test.shown {
			assert.Contains(t, answer.Body.String(), text)
		}
		assert.NotContains(t, answer.Body.String(), test.hidden)
		assert.NotContains(t, answer.Body.String(), "pulumi")
	}
}

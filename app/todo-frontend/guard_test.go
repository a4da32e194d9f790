package main

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestForgedRequestsAreRefused(t *testing.T) {
	s := startSite(t)
	s.add("Buy milk")
	origin := "http://localhost:" + s.Port
	const form, json = "application/x-www-form-urlencoded", "application/json"
	changes := []struct{ method, path, contentType, body string }{
		{"POST", "/form/add", form, "title=forged"},
		{"POST", "/form/complete/1", form, "completed=true"},
		{"POST", "/form/edit/1", form, "title=forged"},
		{"POST", "/form/delete/1", form, ""},
		{"POST", "/form/clear", form, ""},
		{"POST", "/todos", json, `{"title": "forged"}`},
		{"POST", "/todos", "text/plain", `{"title": "forged"}`},
		{"PATCH", "/todos/1", json, `{"title": "forged"}`},
		{"PUT", "/todos/1", json, `{"title": "forged"}`},
		{"DELETE", "/todos/1", "", ""},
		{"DELETE", "/todos", "", ""},
	}
	for _, change := range changes {
		for _, foreign := range [][]string{
			{"Origin", "http://elsewhere.example"},
			{"Origin", "http://localhost:1"},
			{"Origin", "null"},
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"},
			{"Sec-Fetch-Site", "cross-site", "Origin", origin},
		} {
			a := send(t, change.method, s.URL(change.path), change.body,
				append(foreign, "Content-Type", change.contentType)...)
			what := fmt.Sprint(change, foreign)
			assert.Equal(t, http.StatusForbidden, a.status, what)
			assert.Contains(t, a.body,
				`{"title":"Forbidden","status":403,"detail":"a page of another site asked for this: `, what)
		}
	}
	assert.Equal(t, []string{"- Buy milk"}, s.page("/").rows())

	rows := []string{"- Buy milk"}
	for _, own := range [][]string{
		{},                                  // no browser
		{"Origin", origin},                  // over HTTP
		{"Sec-Fetch-Site", "same-origin"},   // over HTTPS
		{"Sec-Fetch-Site", "none", "A", ""}, // typed by the visitor
	} {
		a := send(t, http.MethodPost, s.URL("/form/add"), "title=x", append(own, "Content-Type", form)...)
		assert.Equal(t, http.StatusSeeOther, a.status, own)
		rows = append([]string{"- x"}, rows...)
	}
	assert.Equal(t, rows, s.page("/").rows())
}

// The proxy sends its own Host, and the browser an Origin with the name that the visitor typed.
func TestBehindAProxyThatChangesHost(t *testing.T) {
	const origin = "http://todo.example.com:8081"
	form := func(s site) answer {
		return send(t, http.MethodPost, s.URL("/form/add"), "title=x", "Content-Type",
			"application/x-www-form-urlencoded", "Origin", origin)
	}
	assert.Equal(t, http.StatusForbidden, form(startSite(t)).status)
	s := startSite(t, "OWN_ORIGINS="+origin)
	assert.Equal(t, http.StatusSeeOther, form(s).status)
	assert.Equal(t, []string{"- x"}, s.page("/").rows())
}

func TestAnotherNameThatLeadsHere(t *testing.T) {
	s := startSite(t, "OWN_HOSTS=todo.example.com", "OWN_ORIGINS=https://own.example.com:8443")
	s.add("Buy milk")
	for _, request := range []struct{ method, path, contentType, body string }{
		{"GET", "/", "", ""}, {"GET", "/todos", "", ""}, {"GET", "/todos/1", "", ""},
		{"POST", "/form/clear", "application/x-www-form-urlencoded", ""},
		{"POST", "/todos", "application/json", `{"title": "forged"}`},
		{"DELETE", "/todos", "", ""},
	} {
		a := send(t, request.method, s.URL(request.path), request.body, "Content-Type", request.contentType,
			"Host", "elsewhere.example", "Origin", "http://elsewhere.example", "X-Forwarded-Host", "todo.example.com")
		assert.Equal(t, http.StatusMisdirectedRequest, a.status, request)
		assert.NotContains(t, a.body, "milk", request)
	}
	for _, own := range []string{"todo.example.com", "own.example.com:8443"} {
		assert.Equal(t, http.StatusOK, send(t, http.MethodGet, s.URL("/todos"), "", "Host", own).status, own)
	}
	assert.Equal(t, []string{"- Buy milk"}, s.page("/").rows())
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	s := startSite(t)
	script := referred.FindAllStringSubmatch(send(t, http.MethodGet, s.URL("/"), "").body, -1)[2][1]
	for path, caching := range map[string]string{
		"/":           "no-store",
		"/form/add":   "",
		script:        "public, max-age=31536000, immutable",
		"/static/x":   "",
		"/todos":      "no-cache",
		"/todos/7":    "no-store",
		"/form/edit/": "",
	} {
		header := send(t, http.MethodGet, s.URL(path), "").header
		if caching != "" {
			assert.Equal(t, caching, header.Get("Cache-Control"), path)
			for name, value := range map[string]string{
				"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; " +
					"img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; " +
					"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
				"Cross-Origin-Opener-Policy":   "same-origin",
				"Cross-Origin-Resource-Policy": "same-origin",
				"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
				"Referrer-Policy":              "same-origin",
				"X-Content-Type-Options":       "nosniff",
			} {
				assert.Equal(t, value, header.Get(name), path)
			}
		}
	}
	assert.Equal(t, http.StatusNotFound, send(t, http.MethodGet, s.URL("/static/script.js"), "").status)
	assert.Equal(t, http.StatusMethodNotAllowed, send(t, http.MethodGet, s.URL("/form/clear"), "").status)
	assert.Equal(t, "text/javascript; charset=utf-8",
		send(t, http.MethodGet, s.URL(script), "").header.Get("Content-Type"))
}

package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The sections follow the contract's own test suite. It sends its requests from a script of another origin:
// https://github.com/TodoBackend/todo-backend-js-spec.
func TestPublicContract(t *testing.T) {
	p, _ := start(t)
	const origin = "Origin: https://todobackend.com"
	deleteAll := func(t *testing.T) {
		t.Helper()
		assert.Equal(t, http.StatusNoContent, p.send("DELETE", "/todos", "", origin).status)
	}

	t.Run("the pre-requisites", func(t *testing.T) {
		get := p.send("GET", "/todos", "", origin)
		assert.Equal(t, http.StatusOK, get.status)
		assert.Equal(t, "*", get.header.Get("Access-Control-Allow-Origin"))
		for _, method := range []string{"POST", "PATCH", "DELETE"} {
			preflight := p.send("OPTIONS", "/todos", "", origin, "Access-Control-Request-Method: "+method,
				"Access-Control-Request-Headers: content-type")
			assert.Equal(t, http.StatusNoContent, preflight.status)
			assert.Equal(t, "*", preflight.header.Get("Access-Control-Allow-Origin"))
			assert.Equal(t, method, preflight.header.Get("Access-Control-Allow-Methods"))
			assert.Equal(t, "content-type", preflight.header.Get("Access-Control-Allow-Headers"))
		}
		posted := p.send("POST", "/todos", `{"title":"a todo"}`, origin)
		assert.Equal(t, "a todo", p.item(http.StatusCreated, posted).Title)
		assert.Equal(t, "*", posted.header.Get("Access-Control-Allow-Origin"))
		deleteAll(t)
		assert.Equal(t, "[]\n", p.send("GET", "/todos", "", origin).body)
	})

	t.Run("storing new todos by posting to the root url", func(t *testing.T) {
		deleteAll(t)
		posted := p.add(`{"title":"walk the dog"}`)
		assert.Equal(t, "walk the dog", posted.Title)
		assert.False(t, posted.Completed)
		assert.Equal(t, []item{posted}, p.list("/todos"))
		assert.Equal(t, posted, p.item(http.StatusOK, p.send("GET", posted.URL, "")))
	})

	t.Run("working with an existing todo", func(t *testing.T) {
		deleteAll(t)
		first, second := p.add(`{"title":"todo the first"}`), p.add(`{"title":"todo the second"}`)
		assert.Equal(t, []item{second, first}, p.list("/todos"))
		for _, i := range p.list("/todos") {
			assert.Equal(t, i, p.item(http.StatusOK, p.send("GET", i.URL, "")))
		}

		deleteAll(t)
		made := p.add(`{"title":"initial title"}`)
		patched := p.item(http.StatusOK, p.send("PATCH", made.URL, `{"title":"bathe the cat"}`))
		assert.Equal(t, item{made.ID, "bathe the cat", false, nil, made.URL}, patched)
		patched = p.item(http.StatusOK, p.send("PATCH", made.URL, `{"completed":true}`))
		assert.Equal(t, item{made.ID, "bathe the cat", true, nil, made.URL}, patched)
		patched = p.item(http.StatusOK, p.send("PATCH", made.URL, `{"title":"changed title","completed":true}`))
		assert.Equal(t, item{made.ID, "changed title", true, nil, made.URL}, patched)
		assert.Equal(t, patched, p.item(http.StatusOK, p.send("GET", made.URL, "")))
		assert.Equal(t, []item{patched}, p.list("/todos"))

		assert.Equal(t, http.StatusNoContent, p.send("DELETE", made.URL, "", origin).status)
		assert.Equal(t, "[]\n", p.send("GET", "/todos", "").body)
	})

	t.Run("tracking todo order", func(t *testing.T) {
		deleteAll(t)
		made := p.add(`{"title":"blah","order":523}`)
		assert.Equal(t, item{made.ID, "blah", false, new(523), made.URL}, made)
		patched := p.item(http.StatusOK, p.send("PATCH", made.URL, `{"order":95}`))
		assert.Equal(t, item{made.ID, "blah", false, new(95), made.URL}, patched)
		assert.Equal(t, patched, p.item(http.StatusOK, p.send("GET", made.URL, "")))
	})
}

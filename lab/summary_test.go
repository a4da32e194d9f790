package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheSummaryOfAnUp(t *testing.T) {
	read := func(text string) (o outputs) {
		require.NoError(t, json.Unmarshal([]byte(text), &o))
		return o
	}
	const namespaces = `"namespaces": {"exercises": "a-exercises", "project": "a-project"}`
	ingress := read(`{"todoUrl": "http://10.231.188.10/", "pingpongUrl": "http://10.231.188.10/pingpong",
		"data": "is in", ` + namespaces + `}`)
	assert.Equal(t, `
The stack dev is up:
  todos      http://10.231.188.10/
  pings      http://10.231.188.10/pingpong
  a shell    . .lab/env, for kubectl and pulumi
  the train  kubectl -n a-exercises logs -f redis-stset-0 -c redisfiller
  addresses  pulumi stack output
  status     make status
  tests      make test, in a lab of its own`, strings.Join(ingress.lines("dev", false), "\n"))

	other := strings.Join(ingress.lines("two", false), "\n")
	assert.Contains(t, other, "  a shell    . .lab/two/env, ")
	assert.Contains(t, other, "make status LAB=two")
	assert.NotContains(t, strings.Join(ingress.lines("dev", true), "\n"), "make status")
	assert.Contains(t, strings.Join(read(`{`+namespaces+`}`).lines("dev", true), "\n"),
		"  todos      kubectl -n a-project port-forward service/todo-frontend-svc 8080:80, then "+
			"http://localhost:8080/\n")
}

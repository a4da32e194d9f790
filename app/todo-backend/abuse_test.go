package main

import (
	"strings"
	"testing"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/internal/abuse"
)

const memory = 64 // MiB, of a pod

func TestWithstandsAbuse(t *testing.T) {
	p, server := start(t, apptest.Limit(memory))
	todo := p.add(`{"title": "Feed the cat"}`)
	// The largest list that there can be.
	server.Exec(`INSERT INTO todo (title, completed) SELECT repeat('🐈', 140), false FROM generate_series(1, 1000)`)
	p.Withstands(t, memory, p.Metrics(), abuse.Target{
		Name: "todo-backend", PerSecond: 100, Dial: p.Dial,
		Get: strings.TrimPrefix(todo.URL, p.URL("")), Large: "/todos?limit=1000", Post: "/todos",
		Check: apptest.Answers(`"Feed the cat"`),
	})
}

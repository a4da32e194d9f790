package main

import (
	"testing"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/internal/abuse"
)

const memory = 64 // MiB, of a pod

func TestWithstandsAbuse(t *testing.T) {
	s := startSite(t, apptest.Limit(memory))
	for range 20 {
		s.add("Feed the cat")
	}
	s.Withstands(t, memory, s.Metrics(), abuse.Target{
		Name: "todo-frontend", PerSecond: 100, Dial: s.Dial, Get: "/", Large: "/", Post: "/todos",
		Check: apptest.Answers("Feed the cat"),
	})
}

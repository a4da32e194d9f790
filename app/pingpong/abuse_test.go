package main

import (
	"net/http"
	"testing"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/internal/abuse"
)

const memory = 64 // MiB, of a pod

func TestWithstandsAbuse(t *testing.T) {
	p := apptest.Start(t, "URL="+postgrestest.Start(t).URL(), apptest.Limit(memory))
	p.WaitUntilReady(http.StatusOK)
	p.Withstands(t, memory, p.Metrics(), abuse.Target{
		Name: "pingpong", PerSecond: 100, Dial: p.Dial, Get: "/pingpong", Large: "/pings", Post: "/pingpong",
		Check: apptest.Answers(`^pong \d+$`),
	})
}

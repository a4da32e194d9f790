// Todo-frontend is the page of the todos, at GET /. It keeps nothing itself: todos are the backend's, to
// which it also forwards /todos, so that one address serves both. It answers to IP addresses, localhost and
// the names that it is told, and to no other: a page elsewhere whose name is made to lead here could else
// change todos.
//
// Settings, all in the environment:
//
//	BACKEND_URL   address of the backend, such as http://todo-backend-svc
//	OWN_HOSTS     names of the page, such as "todo-frontend-svc todo.example.com" (none)
//	OWN_ORIGINS   addresses at which people see it through a proxy that changes Host, such as "https://todo.example.com"; their
//	              names count as its own too (none)
//	PORT          port of the page, and of GET /livez and GET /readyz (8080)
//	METRICS_PORT  port of GET /metrics (9090)
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/backend"
	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/http"
)

func main() {
	service.Main(run)
}

func run(ctx context.Context) error {
	todos, err := backend.New(os.Getenv("BACKEND_URL"))
	if err != nil {
		return fmt.Errorf("BACKEND_URL: %w", err)
	}
	guard, err := http.NewGuard(strings.Fields(os.Getenv("OWN_HOSTS")), strings.Fields(os.Getenv("OWN_ORIGINS")))
	if err != nil {
		return fmt.Errorf("OWN_ORIGINS: %w", err)
	}
	// It is ready whatever the backend does: its page says that the todos are away, which is better than the 503
	// of an ingress that has nowhere to send people to.
	mux := service.Probes(func(context.Context) error { return nil })
	http.Handle(mux, todos, guard)
	return web.Serve(ctx, mux)
}

// Todo-frontend is the page of the todos, at GET /. It keeps nothing itself: todos are the backend's, to which it also
// forwards /todos, so that one address serves both.
//
// Settings, all in the environment:
//
//	BACKEND_URL   address of the backend, such as http://todo-backend-svc
//	PORT          port of the page, and of GET /livez and GET /readyz (8080)
//	METRICS_PORT  port of GET /metrics (9090)
package main

import (
	"context"
	"fmt"
	"os"

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
	// It is ready whatever the backend does: its page says that the todos are away, which is better than the 503 of an
	// ingress that has nowhere to send people to.
	mux := service.Probes(func(context.Context) error { return nil })
	http.Handle(mux, todos)
	return web.Serve(ctx, mux)
}

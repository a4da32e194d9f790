// Todo-frontend serves the page of the todos at GET /. It stores nothing: it gets the todos from the backend
// and forwards /todos to it, so one address serves both. It answers to IP addresses, localhost and its
// configured names only, so a site whose name is made to resolve here cannot change todos.
//
// Settings in the environment, with defaults in brackets:
//
//	BACKEND_URL   address of the backend, such as http://todo-backend-svc
//	OWN_HOSTS     host names of the page, such as "todo-frontend-svc todo.example.com" (none)
//	OWN_ORIGINS   origins under which people see the page through a proxy that changes Host, such as
//	              "https://todo.example.com"; their host names count as OWN_HOSTS (none)
//	LOGIN_FILE    file with the users who may see and change the todos, as NAME:HASH with bcrypt's hash of the
//	              password, one in a line (none: everybody may)
//	PORT          port of the page, and of GET /livez and GET /readyz (8080)
//	METRICS_PORT  port of GET /metrics (9090)
package main

import (
	"context"
	"net/url"

	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/backend"
	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/http"
)

type config struct {
	backend *url.URL
	guard   *http.Guard
	login   *http.Login
	ports   settings.Ports
}

func readConfig() (config, error) {
	var r settings.Reader
	c := config{backend: r.URL("BACKEND_URL", "", "http://todo-backend-svc"), ports: r.Ports()}
	var err error
	if c.guard, err = http.NewGuard(r.Words("OWN_HOSTS"), r.Words("OWN_ORIGINS")); err != nil {
		r.Fault("OWN_ORIGINS", "%v", err)
	}
	if c.login, err = http.NewLogin(r.OptionalFile("LOGIN_FILE")); err != nil {
		r.Fault("LOGIN_FILE", "%v", err)
	}
	return c, r.Err()
}

func main() { service.Main(run) }

func run(ctx context.Context) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	// It is ready even without the backend: the page says that the todos are away, which tells visitors more
	// than the ingress's 503.
	mux := service.Probes(func(context.Context) error { return nil })
	http.Register(mux, backend.New(c.backend), c.guard, c.login)
	return web.Serve(ctx, c.ports, mux)
}

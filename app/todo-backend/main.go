// Todo-backend serves the todos at /todos and stores them in Postgres. It implements the public Todo-Backend
// contract (https://todobackend.com), and adds pages, counts, conditional requests and idempotency keys. What
// it has acknowledged is durable.
//
// Settings in the environment, with defaults in brackets:
//
//	URL              address of the database, such as postgres://user:password@host/database
//	URL_FILE         file with that address instead, read again for every connection
//	ALLOWED_ORIGINS  web pages that may use the API, such as "https://example.com http://localhost:3000" (*)
//	DAILY_TODO_INTERVAL
//	                 longest time between two Jobs of daily-todo, for a metric (no metric)
//	PORT             port of all paths above, and of GET /livez and GET /readyz (8080)
//	METRICS_PORT     port of GET /metrics (9090)
package main

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stateful-k3s/stateful-k3s/app/internal/database"
	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/http"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/postgres"
)

type config struct {
	database database.Address
	origins  http.Origins
	ports    settings.Ports

	dailyInterval time.Duration
}

func readConfig() (config, error) {
	var r settings.Reader
	c := config{database: r.Database(), ports: r.Ports(), dailyInterval: r.Duration("DAILY_TODO_INTERVAL", "0s")}
	var err error
	if c.origins, err = http.ParseOrigins(r.Text("ALLOWED_ORIGINS", "*", "")); err != nil {
		r.Fault("ALLOWED_ORIGINS", "%v", err)
	}
	return c, r.Err()
}

func main() { service.Main(run) }

func run(ctx context.Context) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	db, err := database.Open(ctx, c.database, postgres.MaxConns, postgres.Migrations)
	if err != nil {
		return err
	}
	defer db.Close()
	store := postgres.NewStore(db)
	prometheus.MustRegister(db.Metrics(), newDaily(store, c.dailyInterval))
	mux := service.Probes(func(ctx context.Context) error {
		if store.Ready(ctx) != nil {
			return errors.New("the database does not answer")
		}
		return nil
	})
	http.Register(mux, store)
	return web.Serve(ctx, c.ports, c.origins.Allow(mux))
}

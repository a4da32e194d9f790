// Todo-backend keeps todos in Postgres and offers them at /todos, as the public Todo-Backend contract asks
// (https://todobackend.com), with pages, counts, conditional requests and safe repetitions beside it. What it
// has acknowledged is durable.
//
// Settings, all in the environment:
//
//	URL              address of the database, such as postgres://user:password@host/database
//	URL_FILE         file that holds the address instead, read again for every connection
//	ALLOWED_ORIGINS  web pages whose scripts may use the todos, such as "https://example.com http://localhost:3000" (*: all)
//	PORT             port of all paths above, and of GET /livez and GET /readyz (8080)
//	METRICS_PORT     port of GET /metrics (9090)
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/stateful-k3s/stateful-k3s/app/internal/database"
	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/http"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/postgres"
)

func main() {
	service.Main(run)
}

// garbage is how much of it there may be, in percent of what is in use, before it is collected. Very little
// is in use, so that rare collections cost a few megabytes, and leave a tenth more of the processor to
// requests.
const garbage = 400

func run(ctx context.Context) error {
	debug.SetGCPercent(garbage)
	origins, err := http.ParseOrigins(cmp.Or(os.Getenv("ALLOWED_ORIGINS"), "*"))
	if err != nil {
		return fmt.Errorf("read ALLOWED_ORIGINS: %w", err)
	}
	db, err := database.Open(ctx, database.Environment, postgres.Connections, postgres.Migrations)
	if err != nil {
		return err
	}
	defer db.Close()
	store := postgres.NewStore(db)

	mux := service.Probes(func(ctx context.Context) error {
		if store.Ready(ctx) != nil {
			return errors.New("the database does not answer")
		}
		return nil
	})
	http.Handle(mux, store)
	return web.Serve(ctx, origins.Allow(mux))
}

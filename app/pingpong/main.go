// Pingpong answers GET /pingpong with "pong N", where N counts the requests to all replicas from 0, and GET
// /pings with the count so far. Postgres stores the count: a number is handed out after it is durable, and
// never twice.
//
// Settings in the environment, with defaults in brackets:
//
//	URL           address of the database, such as postgres://user:password@host/database
//	URL_FILE      file with that address instead, read again for every connection
//	PORT          port of all paths above, and of GET /livez and GET /readyz (8080)
//	METRICS_PORT  port of GET /metrics (9090)
package main

import (
	"context"
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/stateful-k3s/stateful-k3s/app/internal/database"
	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/pingpong/counter"
	"github.com/stateful-k3s/stateful-k3s/app/pingpong/http"
	"github.com/stateful-k3s/stateful-k3s/app/pingpong/postgres"
)

const maxConns = 5

type config struct {
	database database.Address
	ports    settings.Ports
}

func readConfig() (config, error) {
	var r settings.Reader
	return config{r.Database(), r.Ports()}, r.Err()
}

func main() { service.Main(run) }

func run(ctx context.Context) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	db, err := database.Open(ctx, c.database, maxConns, postgres.Migrations)
	if err != nil {
		return err
	}
	defer db.Close()
	prometheus.MustRegister(db.Metrics())
	ledger := postgres.NewLedger(db)
	committer := counter.NewCommitter(ledger)
	promauto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pingpong_waiting_pings",
		Help: "Pings that wait to be sent to the database.",
	}, func() float64 { return float64(committer.Waiting()) })

	// The committer outlives the server: the last requests wait for it.
	counting, stop := context.WithCancel(context.WithoutCancel(ctx))
	var committing sync.WaitGroup
	committing.Go(func() { committer.Run(counting) })
	defer committing.Wait()
	defer stop()

	mux := service.Probes(func(ctx context.Context) error {
		if ledger.Ready(ctx) != nil || committer.Away() {
			return errors.New("the database does not answer")
		}
		return nil
	})
	http.Register(mux, committer, ledger)
	return web.Serve(ctx, c.ports, mux)
}

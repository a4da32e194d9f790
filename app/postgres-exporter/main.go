// Postgres-exporter serves metrics of a Postgres server, of its volume and of its certificate. The server's
// are the ones of postgres_exporter, with its flags.
//
// Settings in the environment, with defaults in brackets:
//
//	DATA_SOURCE_URI, DATA_SOURCE_USER, DATA_SOURCE_PASS_FILE
//	              address of the server without the login, its user, and the file with the password
//	DATA_DIR      folder of the server's volume (none)
//	CERT_FILE     certificate of the server, in PEM (none)
//	METRICS_PORT  port of GET /metrics (9187)
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus-community/postgres_exporter/collector"
	"github.com/prometheus-community/postgres_exporter/exporter"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stateful-k3s/stateful-k3s/app/internal/gauges"
	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
)

// timeout of the queries is shorter than the 10 s that a Prometheus waits.
const timeout = "8s"

type config struct{ dataDir, certificate, port string }

func readConfig() (config, error) {
	var r settings.Reader
	return config{r.Optional("DATA_DIR"), r.Optional("CERT_FILE"), r.Text("METRICS_PORT", "9187", "")}, r.Err()
}

func main() {
	// The collectors are flags. The time when the server started is off by default.
	kingpin.MustParse(kingpin.CommandLine.Parse(append([]string{"--collector.postmaster"}, os.Args[1:]...)))
	service.Main(run)
}

func run(ctx context.Context) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	sources, err := exporter.GetDataSources()
	if err != nil {
		return err
	}
	if len(sources) != 1 {
		return errors.New("DATA_SOURCE_URI: is not set; for example: DATA_SOURCE_URI=localhost:5432/todo")
	}
	server := exporter.NewExporter(sources, slog.Default(), exporter.WithMetricPrefix("pg"))
	defer server.CloseServers()
	queries, err := collector.NewPostgresCollector(slog.Default(), nil, sources[0], nil,
		collector.WithCollectionTimeout(timeout))
	if err != nil {
		return fmt.Errorf("choose the queries: %w", err)
	}
	prometheus.MustRegister(server, queries)
	if c.dataDir != "" {
		prometheus.MustRegister(gauges.Volume("data", c.dataDir))
	}
	if c.certificate != "" {
		prometheus.MustRegister(gauges.Certificate("postgres", c.certificate))
	}
	return web.ServeMetrics(ctx, c.port)
}

// Redis-exporter serves metrics of a Redis server and of its volume. The server's are the ones of
// redis_exporter.
//
// Settings in the environment, with defaults in brackets:
//
//	REDIS_ADDR           host:port of Redis (localhost:6379)
//	REDIS_PASSWORD_FILE  file with the password of Redis (no password)
//	DATA_DIR             folder of the server's volume (none)
//	METRICS_PORT         port of GET /metrics (9121)
package main

import (
	"context"
	"fmt"
	"time"

	"github.com/oliver006/redis_exporter/exporter"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stateful-k3s/stateful-k3s/app/internal/gauges"
	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
)

// timeout is shorter than the 10 s that a Prometheus waits.
const timeout = 5 * time.Second

type config struct{ address, password, dataDir, port string }

func readConfig() (config, error) {
	var r settings.Reader
	return config{
		address:  r.Text("REDIS_ADDR", "localhost:6379", ""),
		password: r.OptionalFile("REDIS_PASSWORD_FILE"),
		dataDir:  r.Optional("DATA_DIR"),
		port:     r.Text("METRICS_PORT", "9121", ""),
	}, r.Err()
}

func main() { service.Main(run) }

func run(ctx context.Context) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	server, err := exporter.NewRedisExporter("redis://"+c.address, exporter.Options{
		Namespace: "redis", ConfigCommandName: "CONFIG", Password: c.password, ConnectionTimeouts: timeout,
		// It has a page of its own, which nothing serves.
		MetricsPath: "/metrics", RedisMetricsOnly: true,
	})
	if err != nil {
		return fmt.Errorf("prepare the metrics of Redis: %w", err)
	}
	prometheus.MustRegister(server)
	if c.dataDir != "" {
		prometheus.MustRegister(gauges.Volume("data", c.dataDir))
	}
	return web.ServeMetrics(ctx, c.port)
}

// Redisfiller moves a small train back and forth on a rail, a step every 200 ms, and stores its position in
// Redis. After any restart, the train continues from there.
//
// Settings in the environment, with defaults in brackets:
//
//	REDIS_ADDR           host:port of Redis (localhost:6379)
//	REDIS_PASSWORD_FILE  file with the password of Redis (no password)
//	PORT                 port of GET /livez and GET /readyz (8080)
package main

import (
	"context"
	"log/slog"

	"github.com/redis/go-redis/v9/logging"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
)

type config struct{ addr, passwordFile, port string }

func readConfig() (config, error) {
	var r settings.Reader
	return config{
		addr:         r.Text("REDIS_ADDR", "localhost:6379", ""),
		passwordFile: r.Optional("REDIS_PASSWORD_FILE"),
		port:         r.Text("PORT", "8080", ""),
	}, r.Err()
}

func main() { service.Main(run) }

func run(ctx context.Context) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	logging.Disable() // drive logs every error
	s := newStore(c.addr, c.passwordFile)
	defer s.client.Close()
	slog.Info("started", "redis", c.addr)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return service.Serve(ctx, c.port, service.Probes(s.ping)) })
	group.Go(func() error {
		drive(ctx, s)
		return nil
	})
	return group.Wait()
}

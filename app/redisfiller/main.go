// Redisfiller moves a small train to and fro on a rail, a step every 200 ms, and keeps where it is in Redis.
// Whatever is restarted, the train goes on where it stopped.
//
// Settings, all in the environment:
//
//	REDIS_ADDR           host:port of Redis (localhost:6379)
//	REDIS_PASSWORD_FILE  file that holds the password of Redis (none: no password)
//	PORT                 port of GET /livez and GET /readyz (8080)
package main

import (
	"cmp"
	"context"
	"log/slog"
	"os"

	"github.com/redis/go-redis/v9/logging"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
)

func main() {
	service.Main(run)
}

func run(ctx context.Context) error {
	logging.Disable() // every error comes back to drive, which logs it
	addr := cmp.Or(os.Getenv("REDIS_ADDR"), "localhost:6379")
	s := newStore(addr, os.Getenv("REDIS_PASSWORD_FILE"))
	defer s.client.Close()
	slog.Info("started", "redis", addr)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return service.Serve(ctx, cmp.Or(os.Getenv("PORT"), "8080"), service.Probes(s.ping))
	})
	group.Go(func() error {
		drive(ctx, s)
		return nil
	})
	return group.Wait()
}

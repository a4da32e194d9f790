package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stateful-k3s/stateful-k3s/internal/abuse"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// abuseDuration is how long honest clients are measured during each abuse.
const abuseDuration = 10 * time.Second

// measureAbuse measures how soon the apps answer honest clients through the ingress while strangers abuse it.
func measureAbuse(ctx context.Context, _ *cluster) (err error) {
	address, err := ingressAddress()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fillTodos(context.WithoutCancel(ctx), 0)) }()
	_, err = todos.sql(ctx, `INSERT INTO todo (title, completed) SELECT 'bench: ' || repeat('🐈', 133), false
		FROM generate_series(1, 1000)`) // the longest list that the backend answers with
	if err != nil {
		return err
	}
	printTable("app", "abuse", "honest requests sent", "answered", "p99 quiet", "p99",
		"ratio (should be at most 10)")
	var faults []error
	for _, site := range abuse.Sites(address + ":80") {
		quiet := measureHonest(ctx, site)
		for _, way := range abuse.All {
			stop := way.Start(site)
			account := measureHonest(ctx, site)
			stop()
			if err := account.Check(); err != nil {
				faults = append(faults, fmt.Errorf("%s, %s: %w", site.Name, way.Name, err))
			}
			printRow("%s | %s | %d | %d | %s | %s | %.1f", site.Name, way.Name, account.Sent,
				len(account.Latencies), quiet.P99(), account.P99(), float64(account.P99())/float64(quiet.P99()))
		}
	}
	return errors.Join(faults...)
}

func measureHonest(ctx context.Context, site abuse.Site) load.SteadyAccount {
	client := site.Honest()
	select {
	case <-ctx.Done():
	case <-time.After(abuseDuration):
	}
	return client.Stop()
}

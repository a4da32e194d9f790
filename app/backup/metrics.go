package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
)

const (
	lookEvery = time.Minute
	lookAgain = 5 * time.Second // after one that failed
)

// gauges tell of the store what was there at the last look.
type gauges struct {
	taken, size, duration, lacks, backups, runEnded, runSuccess prometheus.Gauge
}

func newGauges(prefix string) gauges {
	gauge := func(name, help string) prometheus.Gauge {
		return promauto.NewGauge(prometheus.GaugeOpts{Name: "backup_" + name, Help: help,
			ConstLabels: prometheus.Labels{"prefix": prefix}})
	}
	return gauges{
		taken: gauge("last_verified_timestamp_seconds",
			"When the snapshot of the newest verified backup was taken, in seconds since 1970; 0 if there is none."),
		size:     gauge("last_verified_size_bytes", "Size of its dump."),
		duration: gauge("last_verified_duration_seconds", "How long it took until it was verified."),
		lacks: gauge("last_verified_lacks",
			"Number of things that the database and its server had and it lacks, which its manifest names."),
		backups: gauge("verified_backups", "Number of verified backups."),
		runEnded: gauge("last_run_timestamp_seconds",
			"When the last run ended, in seconds since 1970; 0 if there was none."),
		runSuccess: gauge("last_run_success", "Whether the last run made a backup, 1 or 0."),
	}
}

func serveMetrics(ctx context.Context) error {
	var e environment
	bucket, ports := e.Bucket(), e.Ports()
	if err := e.Err(); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	shown := newGauges(bucket.Prefix)
	var seen atomic.Bool
	looking, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() {
		for looking.Err() == nil {
			err := shown.look(looking)
			seen.Store(err == nil)
			if err == nil {
				sleep(looking, lookEvery)
				continue
			}
			slog.Warn("the store does not answer", "error", err)
			sleep(looking, lookAgain)
		}
	})
	defer background.Wait()
	defer stop()
	return web.Serve(ctx, ports, service.Probes(func(context.Context) error {
		if !seen.Load() {
			return errors.New("the store does not answer")
		}
		return nil
	}))
}

// look reads the settings anew, for keys can change.
func (g gauges) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookAtMost)
	defer cancel()
	var e environment
	store, err := openStore(&e)
	if err != nil {
		return err
	}
	is, err := inspect(ctx, store)
	if err != nil {
		return err
	}
	if !is.taken.IsZero() {
		g.taken.Set(float64(is.taken.Unix()))
	}
	g.backups.Set(float64(is.backups))
	g.size.Set(float64(is.newest.Dump.Size))
	g.lacks.Set(float64(len(is.newest.Lacks)))
	g.duration.Set(is.newest.Duration().Seconds())
	if !is.run.Ended.IsZero() {
		g.runEnded.Set(float64(is.run.Ended.Unix()))
		g.runSuccess.Set(map[bool]float64{true: 1}[is.run.Error == ""])
	}
	return nil
}

func sleep(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

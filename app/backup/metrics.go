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

	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
)

const (
	updateInterval = time.Minute
	updateRetry    = 5 * time.Second
	// An archive of more files than a page of S3 has is listed less often: a week of the log has 10,000.
	archiveInterval, page = 5 * time.Minute, 1000
)

// gauges show the store as of the last update.
type gauges struct {
	answers, taken, size, duration, lacks, backups, runEnded, runSuccess prometheus.Gauge
	// They have no value without an archive, or an interval.
	archived, archiveBase, archiveSize, archiveGap, interval *prometheus.GaugeVec
}

func newGauges(prefix string) gauges {
	gauge := func(name, help string) prometheus.Gauge {
		return promauto.NewGauge(prometheus.GaugeOpts{Name: "backup_" + name, Help: help,
			ConstLabels: prometheus.Labels{"prefix": prefix}})
	}
	optional := func(name, help string) *prometheus.GaugeVec {
		return promauto.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help,
			ConstLabels: prometheus.Labels{"prefix": prefix}}, nil)
	}
	return gauges{
		archived: optional("archive_last_segment_timestamp_seconds",
			"When the newest file of the log was archived, in seconds since 1970; 0 if there is none."),
		archiveBase: optional("archive_last_base_backup_timestamp_seconds",
			"When the newest base backup began, in seconds since 1970; 0 if there is none."),
		archiveSize: optional("archive_size_bytes", "Size of the archive, with its base backups."),
		archiveGap: optional("archive_gap",
			"Whether log is missing after the newest base backup, 1 or 0: then later moments can't be restored."),
		interval: optional("backup_schedule_interval_seconds", "Longest time between two scheduled backups."),
		answers:  gauge("store_up", "Whether the store answered when it was asked last, 1 or 0."),
		taken: gauge("last_verified_timestamp_seconds",
			"When the snapshot of the newest verified backup was taken, in seconds since 1970; 0 if there is none."),
		size:     gauge("last_verified_size_bytes", "Size of its dump."),
		duration: gauge("last_verified_duration_seconds", "How long it took until it was verified."),
		lacks: gauge("last_verified_lacks",
			"Number of things of the database and its server that it lacks. Its manifest names them."),
		backups: gauge("verified_backups", "Number of verified backups."),
		runEnded: gauge("last_run_timestamp_seconds",
			"When the last run ended, in seconds since 1970; 0 if there was none."),
		runSuccess: gauge("last_run_success", "Whether the last run made a backup, 1 or 0."),
	}
}

func serveMetrics(ctx context.Context, c config, _ []string) error {
	gauges := newGauges(c.bucket.Prefix)
	if c.interval > 0 {
		gauges.interval.WithLabelValues().Set(c.interval.Seconds())
	}
	var answers atomic.Bool
	updating, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() {
		var listed time.Time
		for updating.Err() == nil {
			err := gauges.update(updating, &listed)
			answers.Store(err == nil)
			gauges.answers.Set(one(err == nil))
			if err == nil {
				sleep(updating, updateInterval)
				continue
			}
			slog.Warn("the store does not answer", "error", err)
			sleep(updating, updateRetry)
		}
	})
	defer background.Wait()
	defer stop()
	return web.Serve(ctx, c.ports, service.Probes(func(context.Context) error {
		if !answers.Load() {
			return errors.New("the store does not answer")
		}
		return nil
	}))
}

// update reads the settings again, since keys can change. It lists the archive if that was not done for long.
func (g gauges) update(ctx context.Context, listed *time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	c, err := readConfig()
	if err != nil {
		return err
	}
	state, err := readStoreState(ctx, c.store)
	if err != nil {
		return err
	}
	g.show(state)
	if time.Since(*listed) < archiveInterval {
		return nil
	}
	objects, err := c.store.Archive(ctx)
	if err != nil {
		return fmt.Errorf("list the archive: %w", err)
	}
	g.showArchive(objects)
	if len(objects) > page {
		*listed = time.Now()
	}
	return nil
}

func (g gauges) showArchive(objects []pgbackrest.Object) {
	all := []*prometheus.GaugeVec{g.archived, g.archiveBase, g.archiveSize, g.archiveGap}
	if len(objects) == 0 {
		for _, gauge := range all {
			gauge.Reset()
		}
		return
	}
	is := pgbackrest.Summarize(objects)
	for i, value := range []float64{seconds(is.Last), seconds(is.Base), float64(is.Size), one(is.Gap)} {
		all[i].WithLabelValues().Set(value)
	}
}

func (g gauges) show(state storeState) {
	g.taken.Set(seconds(state.taken))
	g.backups.Set(float64(state.backups))
	g.size.Set(float64(state.newest.Dump.Size))
	g.lacks.Set(float64(len(state.newest.Lacks)))
	g.duration.Set(state.newest.Duration().Seconds())
	g.runEnded.Set(seconds(state.run.Ended))
	g.runSuccess.Set(one(!state.run.Ended.IsZero() && state.run.Error == ""))
}

// one returns 1 if a condition holds, and else 0.
func one(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

// seconds returns a time in seconds since 1970; 0 for the zero time.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}

func sleep(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

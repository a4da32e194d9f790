package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/postgres"
)

// daily exports when the CronJob daily-todo has added a todo last. The database knows, so that it outlives
// restarts.
type daily struct {
	store           *postgres.Store
	added, interval *prometheus.Desc
	// seconds is the longest time between two Jobs; 0 if it is not known.
	seconds float64
}

func newDaily(store *postgres.Store, interval time.Duration) daily {
	return daily{
		store: store,
		added: prometheus.NewDesc("daily_todo_last_added_timestamp_seconds",
			"When daily-todo has added a todo last, in seconds since 1970; 0 if not within a week.", nil, nil),
		interval: prometheus.NewDesc("daily_todo_schedule_interval_seconds",
			"Longest time between two Jobs of daily-todo.", nil, nil),
		seconds: interval.Seconds(),
	}
}

func (d daily) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- d.added
	descriptions <- d.interval
}

func (d daily) Collect(metrics chan<- prometheus.Metric) {
	if d.seconds > 0 {
		metrics <- prometheus.MustNewConstMetric(d.interval, prometheus.GaugeValue, d.seconds)
	}
	added, err := d.store.LastDaily(context.Background()) // the store limits the time
	if err != nil {
		slog.Debug("a metric is missing", "error", err)
		return
	}
	metrics <- prometheus.MustNewConstMetric(d.added, prometheus.GaugeValue, added)
}

// Package web is the HTTP server of the apps: with metrics, request IDs, problems as errors, and a stop that
// loses no request.
package web

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
)

const (
	// linger is how long a stopping app keeps serving. After that, no node sends it requests any more.
	linger = 5 * time.Second
	// maxScrapes are answered at the same time; others get 503.
	maxScrapes = 4
)

var durations = promauto.NewHistogramVec(prometheus.HistogramOpts{
	Name:    "http_request_duration_seconds",
	Help:    "Time from a request's header to the end of its answer.",
	Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9),
}, []string{"route", "status"})

// Serve serves the handler, which must end in a mux, and GET /metrics on a port of its own until ctx ends.
// Then GET /readyz answers 503 and every answer closes its connection, but the app serves for another 5 s
// before it stops listening and finishes the requests in progress.
func Serve(ctx context.Context, ports settings.Ports, handler http.Handler) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var stopping atomic.Bool
	defer context.AfterFunc(ctx, func() {
		stopping.Store(true)
		slog.Info("stopping", "in", linger)
		time.AfterFunc(linger, stop)
	})()

	group, serving := errgroup.WithContext(serving)
	group.Go(func() error {
		return service.Serve(serving, ports.App, drain(&stopping, Handler(handler)))
	})
	group.Go(func() error { return ServeMetrics(serving, ports.Metrics) })
	return group.Wait()
}

// ServeMetrics serves GET /metrics until ctx ends.
func ServeMetrics(ctx context.Context, port string) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.InstrumentMetricHandler(prometheus.DefaultRegisterer,
		promhttp.HandlerFor(prometheus.DefaultGatherer, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})))
	return service.Serve(ctx, port, mux)
}

// Handler is what Serve serves until it stops.
func Handler(next http.Handler) http.Handler { return identify(measure(next)) }

func drain(stopping *atomic.Bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stopping.Load() {
			w.Header().Set("Connection", "close")
			if r.URL.Path == "/readyz" {
				http.Error(w, "stopping", http.StatusServiceUnavailable)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func measure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		answer := &response{ResponseWriter: w, request: r}
		next.ServeHTTP(answer, r)
		Observe(r.Pattern, answer.status, start)
		if logsRequests(r) {
			slog.Debug("answered", "method", r.Method, "path", r.URL.Path, "status", answer.status,
				"took", time.Since(start).Round(time.Microsecond), "request", RequestID(r))
		}
	})
}

// Observe adds a request that has just been answered to the metrics.
func Observe(route string, status int, start time.Time) {
	durations.WithLabelValues(route, strconv.Itoa(status)).Observe(time.Since(start).Seconds())
}

// Package web is what every app does that answers people and other pods: problems, metrics and a stop that
// loses no request.
package web

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
)

// linger is how long a stopping app goes on: until then, every node has taken the pod out of its Services.
const linger = 5 * time.Second

var durations = promauto.NewHistogramVec(prometheus.HistogramOpts{
	Name:    "http_request_duration_seconds",
	Help:    "Time from a request's header to the end of its answer.",
	Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9),
}, []string{"route", "status"})

// Serve serves the handler, which ends in a mux, on $PORT (8080) and GET /metrics on $METRICS_PORT (9090)
// until ctx ends. From then on GET /readyz answers 503 and every answer closes its connection, but the app
// serves for another 5 s before it stops listening, and then finishes the requests that are under way.
func Serve(ctx context.Context, handler http.Handler) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var stopping atomic.Bool
	defer context.AfterFunc(ctx, func() {
		stopping.Store(true)
		slog.Info("stopping", "in", linger)
		time.AfterFunc(linger, stop)
	})()

	metrics := http.NewServeMux()
	metrics.Handle("GET /metrics",
		promhttp.InstrumentMetricHandler(prometheus.DefaultRegisterer, exposition(prometheus.DefaultGatherer)))
	group, serving := errgroup.WithContext(serving)
	group.Go(func() error {
		return service.Serve(serving, cmp.Or(os.Getenv("PORT"), "8080"), drain(&stopping, Handler(handler)))
	})
	group.Go(func() error {
		return service.Serve(serving, cmp.Or(os.Getenv("METRICS_PORT"), "9090"), metrics)
	})
	return group.Wait()
}

// Handler is what Serve serves, as long as it does not stop.
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
		durations.WithLabelValues(r.Pattern, strconv.Itoa(answer.status)).Observe(time.Since(start).Seconds())
	})
}

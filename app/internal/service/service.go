// Package service is what every app does the same way: it starts, logs, answers its probes and stops.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// stopTimeout is how long requests that are under way may take after SIGTERM. It is shorter than the
// 30 s that Kubernetes waits before it kills a pod.
const stopTimeout = 10 * time.Second

// Main runs an app until it returns. Its context ends with SIGTERM or an interrupt. An error is logged and makes
// the process exit with status 1.
func Main(run func(context.Context) error) {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stdout, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		slog.Error("stopped", "error", err)
		os.Exit(1)
	}
	slog.Info("stopped")
}

// Probes answers GET /livez with 200 as long as the process runs, and GET /readyz with 200 or, while ready fails,
// with 503 and the reason.
func Probes(ready func(context.Context) error) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// Serve serves HTTP on a TCP port until ctx ends, and then lets the requests that are under way finish.
func Serve(ctx context.Context, port string, handler http.Handler) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("", port))
	if err != nil {
		return fmt.Errorf("listen on port %q (choose another with PORT): %w", port, err)
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		// A request takes less than that, whether its body is slow or its answer.
		ReadTimeout:  time.Minute,
		WriteTimeout: time.Minute,
		// Longer than proxies keep idle connections, so that none sends a request on one that is just closed.
		IdleTimeout:    3 * time.Minute,
		MaxHeaderBytes: 16 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP on port %q: %w", port, err)
	case <-ctx.Done():
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(stopCtx); err != nil {
		return fmt.Errorf("finish the requests under way: %w", errors.Join(err, server.Close()))
	}
	return nil
}

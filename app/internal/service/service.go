// Package service is what every app does the same way: it starts, logs, answers its probes and stops.
package service

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// stopTimeout is how long requests that are under way may take after SIGTERM. It is shorter than the
// 30 s that Kubernetes waits before it kills a pod.
const stopTimeout = 10 * time.Second

const (
	// maxConnections of a server and the one of its metrics fit into the memory of the smallest pod, 64 MiB,
	// when each has sent as much as it may.
	maxConnections = 250
	// maxWriting is how many long answers may wait for slow readers. The longest have about 700 kB.
	maxWriting = 32
	// headerTimeout is how long the header of a request may take to come.
	headerTimeout = 5 * time.Second
)

// Main runs an app until it returns, and has it collect its garbage before the container is out of memory.
// The app's context ends with SIGTERM or an interrupt. An error is logged and makes the process exit with
// status 1, or 3 if it is a Lasting one.
func Main(run func(context.Context) error) {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stdout, nil)))
	if _, err := memlimit.Set(); err != nil {
		slog.Warn("the memory limit is not known", "error", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		slog.Error("stopped", "error", err)
		if errors.As(err, &Lasting{}) {
			os.Exit(lastingStatus)
		}
		os.Exit(1)
	}
	slog.Info("stopped")
}

// lastingStatus tells a Job to try no other pod.
const lastingStatus = 3

// Lasting is an error that another process would meet again.
type Lasting struct{ error }

// NewLasting makes an error one of them.
func NewLasting(err error) error { return Lasting{err} }

// Unwrap is the error itself.
func (l Lasting) Unwrap() error { return l.error }

// Probes answers GET /livez with 200 as long as the process runs, and GET /readyz with 200 or, while ready
// fails, with 503 and the reason.
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
	return serve(ctx, port, newServer(handler))
}

func newServer(handler http.Handler) *http.Server {
	// A request takes less than that, whether its body is slow or its answer.
	return &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: time.Minute,
		WriteTimeout: time.Minute}
}

// ServeTLS serves HTTPS as Serve does HTTP, but bodies and answers may take as long as they go on.
func ServeTLS(ctx context.Context, port string, certificate tls.Certificate, handler http.Handler) error {
	return serve(ctx, port, newTLSServer(certificate, handler))
}

func newTLSServer(certificate tls.Certificate, handler http.Handler) *http.Server {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
			GetConfigForClient: beginHandshake},
		Protocols: new(http.Protocols),
		// Of strangers who do not speak TLS.
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
	server.Protocols.SetHTTP1(true)
	return server
}

func serve(ctx context.Context, port string, server *http.Server) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("", port))
	if err != nil {
		return fmt.Errorf("listen on port %q (choose another with PORT): %w", port, err)
	}
	if err := serveOn(ctx, limit(listener, maxConnections, maxWriting), server); err != nil {
		return fmt.Errorf("serve HTTP on port %q: %w", port, err)
	}
	return nil
}

func serveOn(ctx context.Context, listener net.Listener, server *http.Server) error {
	if server.TLSConfig != nil {
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	server.ConnContext = remember
	server.Handler = answer(server.Handler)
	// Longer than proxies keep idle connections, so that none sends a request on one that is just closed.
	server.IdleTimeout = 3 * time.Minute
	server.MaxHeaderBytes = 8 << 10
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(stopCtx); err != nil {
		return fmt.Errorf("finish the requests under way: %w", errors.Join(err, server.Close()))
	}
	return nil
}

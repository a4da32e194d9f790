package service

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

const (
	// maxConnections fit into the memory of the smallest pod, 64 MiB, each with the largest header and body. The
	// next one waits. An ingress controller has a connection here for each slow body of a stranger: with a lower
	// limit honest requests would wait for them.
	maxConnections = 1000
	// maxTLSConnections have larger buffers.
	maxTLSConnections = 250

	maxHeaderBytes = 8 << 10
	headerTimeout  = 5 * time.Second
	// readTimeout bounds a request with its body, and cancels the context of handlers that take longer.
	readTimeout = 30 * time.Second
	// writeTimeout bounds a handler and its answer.
	writeTimeout = time.Minute
	// idleTimeout is longer than proxies keep idle connections, so that none sends a request on a connection
	// that is just being closed.
	idleTimeout = 3 * time.Minute

	// stopTimeout is how long requests in progress may take after SIGTERM. Kubernetes kills the pod after 30 s.
	stopTimeout = 10 * time.Second
)

// Probes answers GET /livez with 200 while the process runs, and GET /readyz with 200, or with 503 and the
// reason while ready fails.
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

// Serve serves HTTP on a TCP port until ctx ends, and then finishes the requests in progress.
func Serve(ctx context.Context, port string, handler http.Handler) error {
	return listenAndServe(ctx, port, maxConnections, newServer(handler))
}

func newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
}

// ServeTLS is Serve for HTTPS, without time limits for bodies and answers.
func ServeTLS(ctx context.Context, port string, certificate tls.Certificate, handler http.Handler) error {
	server := newServer(handler)
	server.ReadTimeout, server.WriteTimeout = 0, 0
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	// Failed handshakes are no fault of the server.
	server.ErrorLog = slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug)
	return listenAndServe(ctx, port, maxTLSConnections, server)
}

func listenAndServe(ctx context.Context, port string, connections int, server *http.Server) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("", port))
	if err != nil {
		return fmt.Errorf("listen on port %q (choose another with PORT): %w", port, err)
	}
	if err := serve(ctx, netutil.LimitListener(listener, connections), server); err != nil {
		return fmt.Errorf("serve HTTP on port %q: %w", port, err)
	}
	return nil
}

func serve(ctx context.Context, listener net.Listener, server *http.Server) error {
	failed := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			failed <- server.ServeTLS(listener, "", "")
		} else {
			failed <- server.Serve(listener)
		}
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(stopCtx); err != nil {
		return fmt.Errorf("finish the requests in progress: %w", errors.Join(err, server.Close()))
	}
	return nil
}

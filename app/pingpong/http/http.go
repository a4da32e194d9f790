// Package http answers pings over HTTP.
package http

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/pingpong/counter"
)

const retryAfter = 1 // seconds

// Pinger counts a ping and returns its number.
type Pinger interface {
	Ping(ctx context.Context) (int64, error)
}

// Reader returns the number of pings so far.
type Reader interface {
	Pings(ctx context.Context) (int64, error)
}

// Register adds GET /pingpong, which counts, and GET /pings, which does not.
func Register(mux *http.ServeMux, pinger Pinger, reader Reader) {
	mux.HandleFunc("GET /pingpong", func(w http.ResponseWriter, r *http.Request) {
		number, err := pinger.Ping(r.Context())
		if err != nil {
			refuse(w, r, err)
			return
		}
		setHeader(w, "text/plain; charset=utf-8")
		_, _ = w.Write(strconv.AppendInt([]byte("pong "), number, 10)) // the client may have gone
	})
	// A pattern for GET matches HEAD too, which must not count.
	mux.HandleFunc("HEAD /pingpong", func(w http.ResponseWriter, _ *http.Request) {
		setHeader(w, "text/plain; charset=utf-8")
	})
	mux.HandleFunc("GET /pings", func(w http.ResponseWriter, r *http.Request) {
		pings, err := reader.Pings(r.Context())
		if err != nil {
			slog.Warn("pings", "error", err)
			refuse(w, r, counter.ErrUnavailable)
			return
		}
		setHeader(w, "application/json")
		fmt.Fprintf(w, `{"pings": %d}`, pings)
	})
}

func setHeader(w http.ResponseWriter, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
}

// refuse answers 503 if the ping was not counted, so the client can repeat it, and 504 if it may have been.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case r.Context().Err() != nil: // the client has gone
	case errors.Is(err, counter.ErrUnknown):
		web.Problem(w, http.StatusGatewayTimeout, err.Error()+": whether this ping was counted is not known")
	default:
		web.Unavailable(w, err.Error(), retryAfter)
	}
}

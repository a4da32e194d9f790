// Package http answers pings over HTTP.
package http

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/pingpong/counter"
)

const (
	retryAfter  = 1 // seconds
	readTimeout = 5 * time.Second
)

// Pinger counts a ping and returns its number.
type Pinger interface {
	Ping(ctx context.Context) (int64, error)
}

// Reader tells how many pings were counted so far.
type Reader interface {
	Pings(ctx context.Context) (int64, error)
}

// Handle adds GET /pingpong, which counts, and GET /pings, which does not.
func Handle(mux *http.ServeMux, pinger Pinger, reader Reader) {
	mux.HandleFunc("GET /pingpong", func(w http.ResponseWriter, r *http.Request) {
		number, err := pinger.Ping(r.Context())
		if err != nil {
			refuse(w, r, err)
			return
		}
		text(w)
		_, _ = w.Write(strconv.AppendInt([]byte("pong "), number, 10)) // the client may have gone
	})
	// A pattern for GET stands for HEAD too, which by its nature must not count.
	mux.HandleFunc("HEAD /pingpong", func(w http.ResponseWriter, _ *http.Request) { text(w) })
	mux.HandleFunc("GET /pings", func(w http.ResponseWriter, r *http.Request) {
		// A query that is broken off costs its connection to the database, which is dear where visitors come and
		// go.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), readTimeout)
		defer cancel()
		pings, err := reader.Pings(ctx)
		if err != nil {
			slog.Warn("pings", "error", err)
			refuse(w, r, counter.ErrAway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprintf(w, `{"pings": %d}`, pings)
	})
}

func text(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
}

// refuse keeps two things apart: with 503 the ping was not counted and can be repeated, with 504 it may have
// been.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case r.Context().Err() != nil: // nobody is there to read an answer
	case errors.Is(err, counter.ErrUnknown):
		web.Problem(w, http.StatusGatewayTimeout, err.Error()+": whether this ping was counted is not known")
	default:
		web.Unavailable(w, err.Error(), retryAfter)
	}
}

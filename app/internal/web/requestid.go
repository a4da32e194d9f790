package web

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"regexp"

	"github.com/stateful-k3s/stateful-k3s/app/internal/requestid"
)

const requestID = "X-Request-Id"

var validID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// RequestID returns the ID under which logs and the header X-Request-Id of the answer name a request. A
// request that has a valid ID keeps it, so the ID is the same behind a proxy.
func RequestID(r *http.Request) string { return r.Header.Get(requestID) }

// identify gives every request an ID that is safe to log.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := RequestID(r)
		if !validID.MatchString(id) {
			id = rand.Text()
		}
		r.Header.Set(requestID, id)
		w.Header().Set(requestID, id)
		if logsRequests(r) {
			r = r.WithContext(requestid.With(r.Context(), id))
		}
		next.ServeHTTP(w, r)
	})
}

// logsRequests is off by default. With it each request has a line in the log, and the database sees its ID.
func logsRequests(r *http.Request) bool { return slog.Default().Enabled(r.Context(), slog.LevelDebug) }

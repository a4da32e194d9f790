package web

import (
	"crypto/rand"
	"net/http"
	"regexp"
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
		next.ServeHTTP(w, r)
	})
}

package web

import (
	"crypto/rand"
	"net/http"
	"regexp"
)

const requestID = "X-Request-Id"

var saneID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// RequestID tells a request from all others, in logs and in the header X-Request-Id of the answer. It is the
// one that the request brought along, or else a new one; who forwards the request forwards it too.
func RequestID(r *http.Request) string { return r.Header.Get(requestID) }

// identify gives every request an ID that can stand in a log.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := RequestID(r)
		if !saneID.MatchString(id) {
			id = rand.Text()
		}
		r.Header.Set(requestID, id)
		w.Header().Set(requestID, id)
		next.ServeHTTP(w, r)
	})
}

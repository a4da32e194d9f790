package web

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Problem answers with an error in the format of RFC 9457. The client sees the detail.
func Problem(w http.ResponseWriter, status int, detail string) {
	TypedProblem(w, "", status, detail)
}

// TypedProblem adds a URI that tells the problem from others with the same status.
func TypedProblem(w http.ResponseWriter, uri string, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Del("Content-Length")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct { // the client may have gone
		Type   string `json:"type,omitempty"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
	}{uri, http.StatusText(status), status, detail})
}

// Unavailable answers 503 and asks the client to retry after some seconds.
func Unavailable(w http.ResponseWriter, detail string, seconds int) {
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	Problem(w, http.StatusServiceUnavailable, detail)
}

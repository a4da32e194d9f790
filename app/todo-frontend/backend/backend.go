// Package backend talks to the todo backend: as the page's client, and as a proxy for browsers.
package backend

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

const (
	dialTimeout   = 2 * time.Second
	answerTimeout = todo.Timeout + 2*time.Second
	// Timeout is how long a visitor waits for the backend.
	Timeout = dialTimeout + answerTimeout
)

// ErrAway means that the backend or its database does not answer. A change may have been made nevertheless.
var ErrAway = errors.New("the todos are away")

// Backend is a client of the todo backend.
type Backend struct {
	address   *url.URL
	transport http.RoundTripper
}

// New takes an address such as http://todo-backend-svc. It does not connect yet.
func New(address *url.URL) *Backend {
	return &Backend{address, &http.Transport{
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		ResponseHeaderTimeout: answerTimeout,
		// The backend keeps idle connections longer, so it never closes one that is about to be used.
		IdleConnTimeout:     time.Minute,
		MaxIdleConnsPerHost: 64,
		DisableCompression:  true,
	}}
}

// forward copies the request ID and the address that the visitor sees. The backend makes URLs from the
// address.
func forward(visit *http.Request, header http.Header) {
	header["X-Request-Id"] = visit.Header["X-Request-Id"]
	header.Set("X-Forwarded-Host", cmp.Or(visit.Header.Get("X-Forwarded-Host"), visit.Host))
	header.Set("X-Forwarded-Proto", cmp.Or(visit.Header.Get("X-Forwarded-Proto"), "http"))
}

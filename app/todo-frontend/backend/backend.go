// Package backend talks to the todos' backend: for the page as a client, and for browsers as a proxy.
package backend

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	dialTimeout = 2 * time.Second
	// answerTimeout is longer than the backend waits for its database, and shorter than browsers wait for the
	// page.
	answerTimeout = 15 * time.Second
)

// ErrAway means that the backend does not answer, or has no database. What it was asked to do may be done.
var ErrAway = errors.New("the todos are away")

// Backend is where the todos are.
type Backend struct {
	address   *url.URL
	transport http.RoundTripper
}

// New takes an address such as http://todo-backend-svc, and does not connect yet.
func New(address string) (*Backend, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" {
		return nil, fmt.Errorf("%q is not an address such as http://todo-backend-svc", address)
	}
	return &Backend{parsed, &http.Transport{
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		ResponseHeaderTimeout: answerTimeout,
		IdleConnTimeout:       time.Minute,
		// the backend keeps them longer, so that none is closed just as it is used
		MaxIdleConnsPerHost: 64,
		DisableCompression:  true,
	}}, nil
}

// forward says how the visitor came, from which the backend makes the addresses in its answers, and which
// request it is.
func forward(visit *http.Request, header http.Header) {
	header["X-Request-Id"] = visit.Header["X-Request-Id"]
	header.Set("X-Forwarded-Host", cmp.Or(visit.Header.Get("X-Forwarded-Host"), visit.Host))
	header.Set("X-Forwarded-Proto", cmp.Or(visit.Header.Get("X-Forwarded-Proto"), "http"))
}

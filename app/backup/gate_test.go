package main

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"
)

// step is a request that a run sends to the store.
type step struct {
	name, method, path, query string
	// fails is what is said if it gets no answer.
	fails string
}

var readingBack = step{"reading back", "GET", "/dump", "", "restore the dump"}

var steps = []step{
	{"beginning the upload", "POST", "/dump", "uploads=", "store the dump"},
	{"uploading", "PUT", "/dump", "partNumber=", "store the dump"},
	{"completing the upload", "POST", "/dump", "uploadId=", "store the dump"},
	readingBack,
	{"storing the manifest", "PUT", "/manifest.json", "", "store the manifest"},
}

func (s step) is(r *http.Request) bool {
	return r.Method == s.method && strings.HasSuffix(r.URL.Path, s.path) &&
		strings.Contains(r.URL.RawQuery, s.query)
}

// gate stands between a run and the store, and closes with the first request of a step.
type gate struct {
	step    step
	reached chan struct{} // closed then
	open    chan struct{} // what is sent meanwhile waits for that, unless it is cut
	ended   chan struct{}
	cut     atomic.Bool
	server  *httptest.Server
	first   sync.Once
}

func (s *system) newGate(closesAt step) *gate {
	g := &gate{step: closesAt, reached: make(chan struct{}), open: make(chan struct{}),
		ended: make(chan struct{})}
	endpoint, err := url.Parse(s.store.Endpoint())
	require.NoError(s.t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(endpoint)
			r.Out.Host = r.In.Host // which the request's signature covers
		},
		Transport: s.store.HTTPClient().Transport,
	}
	g.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.step.is(r) {
			g.first.Do(func() { close(g.reached) })
		}
		select {
		case <-g.reached:
			if g.cut.Load() {
				panic(http.ErrAbortHandler)
			}
			select {
			case <-g.open:
			case <-g.ended:
				return
			}
		default:
		}
		proxy.ServeHTTP(w, r)
	}))
	g.server.TLS = &tls.Config{Certificates: []tls.Certificate{s.store.Certificate()}}
	g.server.StartTLS()
	s.t.Cleanup(func() {
		close(g.ended)
		g.server.CloseClientConnections()
		g.server.Close()
	})
	return g
}

// endpoint is the setting that sends requests through the gate.
func (g *gate) endpoint() string { return "S3_ENDPOINT=" + g.server.URL }

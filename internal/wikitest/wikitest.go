// Package wikitest is an HTTPS server that stands in for Wikipedia in tests, and answers well or badly.
package wikitest

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/util/cert"
)

// Wiki is a server.
type Wiki struct {
	// URL is its address, such as https://127.0.0.1:4711.
	URL string
	// CA is the authority that signed its certificate, in PEM format.
	CA []byte

	t           testing.TB
	address     string
	certificate tls.Certificate
	server      *httptest.Server

	mu    sync.Mutex
	pages map[string]*page
}

type page struct {
	answers  []http.HandlerFunc
	requests []Request
}

// Request is a request for a page.
type Request struct {
	*http.Request
	At time.Time
}

// Start starts a server at an IP address and port. Port 0 is any free one. It ends with the test.
func Start(t testing.TB, address string) *Wiki {
	t.Helper()
	host, _, err := net.SplitHostPort(address)
	require.NoError(t, err)
	certificate, key, err := cert.GenerateSelfSignedCertKey(host, nil, nil)
	require.NoError(t, err)
	pair, err := tls.X509KeyPair(certificate, key)
	require.NoError(t, err)
	w := &Wiki{CA: certificate, t: t, address: address, certificate: pair, pages: map[string]*page{}}
	w.Restart()
	w.URL, w.address = w.server.URL, w.server.Listener.Addr().String()
	t.Cleanup(w.Stop)
	return w
}

// Restart starts the server after Stop.
func (w *Wiki) Restart() {
	w.t.Helper()
	listener, err := net.Listen("tcp", w.address)
	require.NoError(w.t, err)
	w.server = httptest.NewUnstartedServer(w)
	require.NoError(w.t, w.server.Listener.Close())
	w.server.Listener = listener
	w.server.EnableHTTP2 = true // as Wikipedia does
	w.server.TLS = &tls.Config{Certificates: []tls.Certificate{w.certificate}}
	w.server.StartTLS()
}

// Stop stops the server and closes all connections.
func (w *Wiki) Stop() {
	w.server.CloseClientConnections()
	w.server.Close()
}

// CAFile writes the authority to a file.
func (w *Wiki) CAFile() string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "ca.crt")
	require.NoError(w.t, os.WriteFile(file, w.CA, 0o644))
	return file
}

// Page adds a page and returns its address. Each request gets the next answer; the last one is repeated.
func (w *Wiki) Page(path string, answers ...http.HandlerFunc) (address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pages[path] = &page{answers: answers}
	return w.URL + path
}

// Requests returns the requests for a page so far.
func (w *Wiki) Requests(path string) []Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pages[path].requests
}

func (w *Wiki) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	w.answer(request)(response, request)
}

func (w *Wiki) answer(request *http.Request) http.HandlerFunc {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.pages[request.URL.Path]
	if p == nil {
		return http.NotFound
	}
	p.requests = append(p.requests, Request{request, time.Now()})
	return p.answers[min(len(p.requests), len(p.answers))-1]
}

// Article redirects to a location as it is, as Wikipedia redirects to a random article. An empty one is not
// sent.
func Article(location string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.WriteHeader(http.StatusFound)
	}
}

// Title redirects to an article that gives the todo, "Read <URL>", a number of characters.
func (w *Wiki) Title(characters int) http.HandlerFunc {
	const others = len("Read ") + len("/wiki/")
	return Article("/wiki/" + strings.Repeat("A", characters-others-len(w.URL)))
}

// Status answers with a status, and with Retry-After unless it is empty.
func Status(status int, retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
	}
}

// Hang returns when the client has gone.
func Hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// Cut closes the connection before the answer is complete.
func Cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// HugeHeader redirects to an article in a header of a megabyte.
func HugeHeader(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("A", strings.Repeat("a", 1<<20))
	Article("/wiki/Huge")(w, r)
}

// EndlessBody redirects to an article with a body that ends when the client does.
func EndlessBody(w http.ResponseWriter, r *http.Request) {
	Article("/wiki/Endless")(w, r)
	for chunk := bytes.Repeat([]byte("a"), 1<<16); r.Context().Err() == nil; {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

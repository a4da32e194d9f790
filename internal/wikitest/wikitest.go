// Package wikitest is an HTTPS server that stands in for Wikipedia, and answers well or badly as a test wants
// it.
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
	answers []http.HandlerFunc
	asked   []Request
}

// Request is what a page was asked.
type Request struct {
	*http.Request
	At time.Time
}

// Start starts a server at an IP address and port; port 0 is any that is free. It ends with the test.
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

// Stop lets nobody connect, and cuts all connections.
func (w *Wiki) Stop() {
	w.server.CloseClientConnections()
	w.server.Close()
}

// CAFile is a file that holds the authority.
func (w *Wiki) CAFile() string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "ca.crt")
	require.NoError(w.t, os.WriteFile(file, w.CA, 0o644))
	return file
}

// Page makes a page and returns its address. The first request gets the first answer and so on; the last one
// stays.
func (w *Wiki) Page(path string, answers ...http.HandlerFunc) (address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pages[path] = &page{answers: answers}
	return w.URL + path
}

// Asked are the requests for a page so far.
func (w *Wiki) Asked(path string) []Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pages[path].asked
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
	p.asked = append(p.asked, Request{request, time.Now()})
	return p.answers[min(len(p.asked), len(p.answers))-1]
}

// Article redirects as Wikipedia does to a random article. The location is sent as it is; an empty one is not
// sent.
func Article(location string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.WriteHeader(http.StatusFound)
	}
}

// Title redirects to an article whose todo, "Read <URL>", has that many characters.
func (w *Wiki) Title(characters int) http.HandlerFunc {
	const others = len("Read ") + len("/wiki/")
	return Article("/wiki/" + strings.Repeat("A", characters-others-len(w.URL)))
}

// Status answers with a status, and Retry-After unless that is empty.
func Status(status int, retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
	}
}

// Hang answers when the client has gone.
func Hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// Cut closes the connection before the answer is whole.
func Cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// HugeHeader answers with a redirect to an article, and a megabyte of header before it.
func HugeHeader(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("A", strings.Repeat("a", 1<<20))
	Article("/wiki/Huge")(w, r)
}

// EndlessBody answers with a redirect to an article, and with a body that ends when the client does.
func EndlessBody(w http.ResponseWriter, r *http.Request) {
	Article("/wiki/Endless")(w, r)
	for chunk := bytes.Repeat([]byte("a"), 1<<16); r.Context().Err() == nil; {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

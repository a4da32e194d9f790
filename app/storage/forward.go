package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
)

const (
	bufferSize = 32 << 10 // bytes
	// maxRequests bounds the requests that the S3 server answers at the same time: it has a buffer of 1 MiB for
	// each. Others wait.
	maxRequests = 40
)

// forward sends requests to the S3 server on a Unix socket, unchanged because they are signed. It waits for
// the first buffer of a body, so that slow clients do not take one of the places there.
func forward(socket string) http.Handler {
	forwarding := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "s3"})
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", socket)
			},
			DisableCompression: true,
			// The S3 server may answer before it has read a body, and would take the rest for the next request on the
			// connection, which could be another client's.
			DisableKeepAlives: true,
			MaxConnsPerHost:   maxRequests,
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil { // the client is still there
				slog.Warn("forward a request", "method", r.Method, "url", r.URL, "error", err)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.ContainsFunc(r.Header.Values("Content-Type"), isForm) {
			w.WriteHeader(http.StatusNotImplemented)
			return
		}
		if r.ContentLength != 0 {
			body := bufio.NewReaderSize(r.Body, bufferSize)
			if _, err := body.Peek(bufferSize); err != nil && err != io.EOF {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			r.Body = struct {
				io.Reader
				io.Closer
			}{body, r.Body}
		}
		forwarding.ServeHTTP(w, r)
	})
}

// isForm reports whether a body is a form. The S3 server would read all of it before it checks the signature.
func isForm(contentType string) bool {
	return strings.HasPrefix(strings.ToLower(contentType), "multipart/form-data")
}

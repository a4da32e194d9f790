package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

const retryAfter = 1 // seconds

// Proxy forwards requests to the backend, and its answers without CORS headers: unlike the backend's own
// address, this one is not open to other origins.
func (b *Backend) Proxy() http.Handler {
	forwarding := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(b.address)
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			r.SetXForwarded()
			forward(r.In, r.Out.Header)
		},
		Transport: b.transport,
		ModifyResponse: func(response *http.Response) error {
			for name := range response.Header {
				// The answer already has an X-Request-Id.
				if strings.HasPrefix(name, "Access-Control-") || name == "X-Request-Id" {
					response.Header.Del(name)
				}
			}
			return nil
		},
		ErrorHandler: refuse,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Read the body first, so a slow client does not keep a connection to the backend.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, todo.MaxBody))
		if _, tooMuch := errors.AsType[*http.MaxBytesError](err); tooMuch {
			web.Problem(w, http.StatusRequestEntityTooLarge,
				fmt.Sprintf("the body has more than %d bytes", todo.MaxBody))
			return
		}
		if err != nil {
			web.Problem(w, http.StatusBadRequest, "the body is incomplete: "+err.Error())
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength, r.TransferEncoding = int64(len(body)), nil
		forwarding.ServeHTTP(w, r)
	})
}

// refuse answers 503 if nothing was done, and 502 or 504 if something may have been.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the visitor has gone
	}
	slog.Warn("the backend is away", "method", r.Method, "path", r.URL.Path, "error", err)
	var network net.Error
	switch {
	case isDial(err):
		web.Unavailable(w, ErrAway.Error(), retryAfter)
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout():
		web.Problem(w, http.StatusGatewayTimeout, ErrAway.Error()+": whether this was done is not known")
	default:
		web.Problem(w, http.StatusBadGateway, ErrAway.Error()+": whether this was done is not known")
	}
}

func isDial(err error) bool {
	operation, ok := errors.AsType[*net.OpError](err)
	return ok && operation.Op == "dial"
}

package backend

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/app/internal/proxy"
	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
)

const (
	maxBody    = 16 << 10 // bytes, as the backend's own bound
	bufferSize = 16 << 10 // bytes
	retryAfter = 1        // seconds
)

// Proxy forwards requests to the backend as they are, and its answers. Other origins have no business here:
// what allows them at the backend's own address is taken out.
func (b *Backend) Proxy() http.Handler {
	forwarding := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(b.address)
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			r.SetXForwarded()
			forward(r.In, r.Out.Header)
		},
		Transport:  b.transport,
		BufferPool: &proxy.Buffers{Size: bufferSize},
		ModifyResponse: func(response *http.Response) error {
			for name := range response.Header {
				if strings.HasPrefix(name, "Access-Control-") || name == "X-Request-Id" { // which the answer has already
					response.Header.Del(name)
				}
			}
			return nil
		},
		ErrorHandler: refuse,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A body that comes slowly is no burden to the backend.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if _, tooMuch := errors.AsType[*http.MaxBytesError](err); tooMuch {
			web.Problem(w, http.StatusRequestEntityTooLarge, "a body has at most 16 KiB")
			return
		}
		if err != nil {
			web.Problem(w, http.StatusBadRequest, "the body breaks off: "+err.Error())
			return
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		forwarding.ServeHTTP(w, r)
	})
}

// refuse keeps apart what was certainly not done (503) and what may have been (502, 504).
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is there to read an answer
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

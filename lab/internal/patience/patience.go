// Package patience limits the time that the lab waits for servers on the internet.
package patience

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Transport gives up on a host that cannot be reached within seconds or does not begin its answer in time,
// and on a transfer that brings nothing for the time of stall.
func Transport(answer, stall time.Duration) http.RoundTripper {
	return transport{stall: stall, RoundTripper: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: answer,
	}}
}

type transport struct {
	http.RoundTripper
	stall time.Duration
}

func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(request.Context())
	response, err := t.RoundTripper.RoundTrip(request.WithContext(ctx))
	if err != nil {
		cancel(nil)
		return nil, err
	}
	stalled := time.AfterFunc(t.stall, func() { cancel(fmt.Errorf("nothing came for %s", t.stall)) })
	stalled.Stop()
	response.Body = body{ReadCloser: response.Body, ctx: ctx, cancel: cancel, stalled: stalled, stall: t.stall}
	return response, nil
}

// body is a response's body, which may stall.
type body struct {
	io.ReadCloser
	ctx     context.Context
	cancel  context.CancelCauseFunc
	stalled *time.Timer
	stall   time.Duration
}

func (b body) Read(p []byte) (int, error) {
	b.stalled.Reset(b.stall)
	n, err := b.ReadCloser.Read(p)
	b.stalled.Stop()
	if cause := context.Cause(b.ctx); err != nil && err != io.EOF && cause != nil {
		return n, cause
	}
	return n, err
}

func (b body) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// userAgent is what https://foundation.wikimedia.org/wiki/Policy:User-Agent_policy asks for: name, version
	// and contact.
	userAgent = "stateful-k3s-daily-todo-bot/1.0 (https://github.com/stateful-k3s/stateful-k3s)"

	maxHeader = 64 << 10 // bytes

	// Between two attempts. A server that asks to be left alone for longer than that is.
	firstPause, longestPause = 500 * time.Millisecond, 15 * time.Second
	shortestRetryAfter       = time.Second
)

// client sends requests, and repeats them until they are answered.
type client struct {
	transport http.RoundTripper
	// timeout is for a single request.
	timeout time.Duration
}

func newTransport(authorities *x509.CertPool) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: authorities}
	t.MaxResponseHeaderBytes = maxHeader
	return t
}

// call is a request, and what reads its answer: that is final unless read returns an error which is not
// backoff.Permanent.
type call struct {
	method string
	url    *url.URL
	header http.Header
	body   []byte
	read   func(*http.Response) error
}

// send repeats a call, later and later or when the server says, while it is answered with 429, 5xx or not at
// all and ctx has time for more. It follows no redirect.
func (c client) send(ctx context.Context, call call) error {
	var failure error
	attempt := func() (struct{}, error) {
		if failure = c.try(ctx, call); failure != nil {
			failure = fmt.Errorf("%s %s: %w", call.method, call.url, failure)
		}
		return struct{}{}, failure
	}
	pauses := backoff.NewExponentialBackOff() // with jitter
	pauses.InitialInterval, pauses.MaxInterval, pauses.Multiplier = firstPause, longestPause, 2
	start := time.Now()
	deadline, _ := ctx.Deadline()
	_, err := backoff.Retry(ctx, attempt, backoff.WithBackOff(pauses),
		backoff.WithMaxElapsedTime(deadline.Sub(start)),
		backoff.WithNotify(func(err error, pause time.Duration) {
			slog.Warn("trying again", "in", pause.Round(time.Millisecond), "error", err)
		}))
	var permanent *backoff.PermanentError
	if err == nil || errors.As(failure, &permanent) {
		return failure
	}
	return fmt.Errorf("%w; given up after %s", failure, time.Since(start).Round(time.Millisecond))
}

func (c client) try(ctx context.Context, call call) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("no answer within %s", c.timeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, call.method, call.url.String(), bytes.NewReader(call.body))
	if err != nil {
		return backoff.Permanent(err)
	}
	maps.Copy(request.Header, call.header)
	request.Header.Set("User-Agent", userAgent)
	response, err := c.transport.RoundTrip(request)
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &untrusted):
		return backoff.Permanent(fmt.Errorf("%w (CA_FILE can name a file with further authorities)", err))
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%w (is it up, and may this pod reach it?)", err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusTooManyRequests ||
		response.StatusCode >= http.StatusInternalServerError {
		if pause, ok := retryAfter(response.Header.Get("Retry-After")); ok {
			return fmt.Errorf("%s, %w", response.Status, &backoff.RetryAfterError{Duration: pause})
		}
		return errors.New(response.Status)
	}
	return call.read(response)
}

// retryAfter reads the header of that name, which holds seconds or a date (RFC 9110, section 10.2.3).
func retryAfter(header string) (time.Duration, bool) {
	var pause time.Duration
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil || errors.Is(err, strconv.ErrRange) {
		pause = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(header); err == nil {
		pause = time.Until(date)
	} else {
		return 0, false
	}
	return max(pause, shortestRetryAfter), true
}

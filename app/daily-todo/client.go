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
	// userAgent has a name, a version and a contact, as Wikimedia's policy asks:
	// https://foundation.wikimedia.org/wiki/Policy:User-Agent_policy
	userAgent = "stateful-k3s-daily-todo-bot/1.0 (https://github.com/stateful-k3s/stateful-k3s)"

	maxHeader = 64 << 10 // bytes

	// Pauses between attempts. A longer Retry-After is respected.
	minPause, maxPause = 500 * time.Millisecond, 15 * time.Second
	minRetryAfter      = time.Second
)

// client sends requests and retries them until they are answered.
type client struct {
	transport http.RoundTripper
	// timeout limits a single request.
	timeout time.Duration
}

func newTransport(authorities *x509.CertPool) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: authorities}
	t.MaxResponseHeaderBytes = maxHeader
	return t
}

// call is a request and the function that reads its answer. If read returns an error, the call is retried
// unless the error is a backoff.Permanent.
type call struct {
	method string
	url    *url.URL
	header http.Header
	body   []byte
	read   func(*http.Response) error
}

// send retries a call with increasing pauses, or as Retry-After says, as long as there is no answer or one
// with 429 or 5xx and the deadline of ctx allows. It follows no redirects.
func (c client) send(ctx context.Context, call call) error {
	var failure error
	attempt := func() (struct{}, error) {
		if failure = c.try(ctx, call); failure != nil {
			failure = fmt.Errorf("%s %s: %w", call.method, call.url, failure)
		}
		return struct{}{}, failure
	}
	pauses := backoff.NewExponentialBackOff() // with jitter
	pauses.InitialInterval, pauses.MaxInterval, pauses.Multiplier = minPause, maxPause, 2
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

// retryAfter parses seconds or a date (RFC 9110, section 10.2.3).
func retryAfter(header string) (time.Duration, bool) {
	var pause time.Duration
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil || errors.Is(err, strconv.ErrRange) {
		pause = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(header); err == nil {
		pause = time.Until(date)
	} else {
		return 0, false
	}
	return max(pause, minRetryAfter), true
}

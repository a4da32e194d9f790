// Package heartbeat tells a service outside that backups are made. The service tells people when it hears
// nothing, so nothing in the cluster has to work for that.
package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
)

// timeout leaves the pod's 30 seconds of grace enough for the rest.
const timeout = 10 * time.Second

// Heartbeat is an address of a service such as healthchecks.io. The zero value is none.
type Heartbeat struct {
	url *url.URL // who knows it can pretend that backups are made
}

// Read returns the heartbeat whose address is in the file that $HEARTBEAT_URL_FILE names, if it is set.
func Read(r *settings.Reader) Heartbeat {
	text := r.OptionalFile("HEARTBEAT_URL_FILE")
	if text == "" {
		return Heartbeat{}
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		r.Fault("HEARTBEAT_URL_FILE", "the file does not hold an address such as https://hc-ping.com/KEY/NAME")
		return Heartbeat{}
	}
	return Heartbeat{u}
}

// Tell asks for the address after a backup, and for fail below it after a failure. The reason of a failure
// stays here, for it may hold rows of the database. A service that cannot be told changes nothing: it will
// miss the heartbeat. A run that was told to stop says nothing, since another pod takes its place.
func (h Heartbeat) Tell(ctx context.Context, failure error) {
	if h.url == nil || errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	address := h.url
	if failure != nil {
		address = h.url.JoinPath("fail")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	ask := func() (struct{}, error) { return struct{}{}, ask(ctx, address) }
	if _, err := backoff.Retry(ctx, ask); err != nil {
		slog.Warn("the heartbeat (backupHeartbeatUrl) was not told of this run", "host", address.Host, "error", err)
	}
}

// ask returns errors without the address.
func ask(ctx context.Context, address *url.URL) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return errors.New("the address is not valid")
	}
	answer, err := http.DefaultClient.Do(request)
	if failed, is := errors.AsType[*url.Error](err); is {
		return failed.Err
	}
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode >= 500:
		return fmt.Errorf("the answer is %s", answer.Status)
	case answer.StatusCode >= 300:
		return backoff.Permanent(fmt.Errorf("the answer is %s", answer.Status))
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/app/backup/s3"
)

// retry makes attempts until one works or fails for good, or the first failure is longer ago than the limit.
// An attempt itself may take longer.
func retry[T any](ctx context.Context, limit time.Duration, attempt func() (T, error)) (T, error) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = time.Second, 30*time.Second
	var failure error
	var failing time.Time // since then
	result, err := backoff.Retry(ctx, func() (result T, err error) {
		if result, failure = attempt(); failure == nil {
			return result, nil
		}
		if failing.IsZero() {
			failing = time.Now()
		}
		if isPermanent(failure) || time.Since(failing) >= limit {
			return result, backoff.Permanent(failure)
		}
		return result, failure
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, pause time.Duration) {
			slog.Warn("trying again", "in", pause.Round(time.Millisecond), "error", err)
		}))
	if err != nil {
		return result, failure
	}
	return result, nil
}

func isPermanent(err error) bool {
	var identity *age.NoIdentityMatchError
	return errors.Is(err, postgres.ErrPermanent) || errors.Is(err, errDiffers) || errors.As(err, &identity) ||
		s3.IsRefusal(err)
}

// failsAgain tells whether another pod would fail in the same way, even with other passwords and keys.
func failsAgain(err error) bool {
	const authorization = "28" // class of SQLSTATE codes
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) && strings.HasPrefix(refusal.Code, authorization) {
		return false
	}
	return errors.Is(err, postgres.ErrPermanent) || errors.Is(err, errDiffers)
}

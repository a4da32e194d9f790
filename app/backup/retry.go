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

// ReconcileSequences two attempts.
const firstPause, longestPause = time.Second, 30 * time.Second

// retry makes attempts for so long, until one works, or fails in a way that another one will too.
func retry[T any](ctx context.Context, limit time.Duration, attempt func() (T, error)) (T, error) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstPause, longestPause
	var failure error
	result, err := backoff.Retry(ctx, func() (result T, err error) {
		if result, failure = attempt(); failure != nil && (isFinal(failure) || limit == 0) {
			return result, backoff.Permanent(failure)
		}
		return result, failure
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(limit),
		backoff.WithNotify(func(err error, pause time.Duration) {
			slog.Warn("beginning anew", "in", pause.Round(time.Millisecond), "error", err)
		}))
	if err != nil {
		return result, failure
	}
	return result, nil
}

// errDiffers says that a copy is not what it should be.
var errDiffers = errors.New("the restored copy differs from the database")

// failsAgain is whether another pod fails in the same way too, although it may have other passwords and keys.
func failsAgain(err error) bool {
	const authorization = "28"
	var told *pgconn.PgError
	if errors.As(err, &told) && strings.HasPrefix(told.Code, authorization) {
		return false
	}
	return errors.Is(err, postgres.ErrPermanent) || errors.Is(err, errDiffers)
}

func isFinal(err error) bool {
	var identity *age.NoIdentityMatchError
	return errors.Is(err, postgres.ErrPermanent) || errors.Is(err, errDiffers) || errors.As(err, &identity) ||
		s3.IsRefusal(err)
}

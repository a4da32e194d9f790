package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

const (
	// connectTimeout is how long a request waits for a connection.
	connectTimeout = 3 * time.Second
	// timeout is how long a statement may take, retries included. One that deletes many todos may take
	// todo.Timeout.
	timeout = 5 * time.Second
	// maxAttempts is one more than the pool holds: all of its idle connections may be broken.
	maxAttempts = MaxConns + 1
)

type statement func(ctx context.Context, conn *pgxpool.Conn) error

// read runs a statement that changes nothing.
func (s *Store) read(ctx context.Context, do statement) error {
	err := s.run(ctx, timeout, true, do)
	if errors.Is(err, todo.ErrUnknown) {
		return fmt.Errorf("%w: %v", todo.ErrUnavailable, err) //nolint:errorlint // a read changes nothing
	}
	return err
}

// run runs a statement. If its connection breaks, run retries an idempotent statement, and any other that the
// server cannot have seen. A client that gives up does not cancel the statement, because that would cost a
// new connection.
func (s *Store) run(ctx context.Context, timeout time.Duration, idempotent bool, do statement) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	kind := todo.ErrUnavailable
	for attempt := 1; ; attempt++ {
		err := s.once(ctx, do)
		var refused *pgconn.PgError
		retry := false
		switch {
		case err == nil, errors.Is(err, todo.ErrNotFound), errors.Is(err, todo.ErrKeyReused):
			return err
		case errors.Is(err, todo.ErrUnavailable): // no connection
		case errors.As(err, &refused) && refused.SeverityUnlocalized == "ERROR": // rolled back
		case pgconn.SafeToRetry(err):
			retry = true
		default:
			kind, retry = todo.ErrUnknown, idempotent
		}
		if !retry || attempt == maxAttempts {
			return fmt.Errorf("%w: %w", kind, err)
		}
	}
}

// once runs a statement on one connection.
func (s *Store) once(ctx context.Context, do statement) error {
	connecting, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := s.db.Acquire(connecting)
	if err != nil {
		return fmt.Errorf("%w: %w", todo.ErrUnavailable, err)
	}
	defer conn.Release()
	return do(ctx, conn)
}

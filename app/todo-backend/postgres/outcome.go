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
	// timeout and bulkTimeout are how long a statement may take, with all its repetitions.
	timeout     = 5 * time.Second
	bulkTimeout = 20 * time.Second
	// attempts is how often something is done whose connection breaks, if that does no harm. All that wait in
	// the pool may be broken.
	attempts = Connections + 1
)

type statement func(ctx context.Context, conn *pgxpool.Conn) error

// read runs a statement that changes nothing.
func (s *Store) read(ctx context.Context, do statement) error {
	err := s.run(ctx, timeout, true, do)
	if errors.Is(err, todo.ErrUnknown) {
		return fmt.Errorf("%w: %v", todo.ErrAway,
			err) //nolint:errorlint // it is not unknown whether something was changed
	}
	return err
}

// run runs a statement. If its connection breaks, it is repeated if that does no harm or the server cannot
// have seen it. A client that gives up does not stop a statement, for ending it would cost a new connection.
func (s *Store) run(ctx context.Context, timeout time.Duration, harmless bool, do statement) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	means := todo.ErrAway
	for attempt := 1; ; attempt++ {
		broken := false
		err := s.once(ctx, do)
		var answer *pgconn.PgError
		switch {
		case err == nil, errors.Is(err, todo.ErrNone), errors.Is(err, todo.ErrKeyReused):
			return err
		case errors.Is(err, todo.ErrAway): // no connection
		case errors.As(err, &answer) && answer.SeverityUnlocalized == "ERROR": // which undoes the statement
		default:
			broken = true
			if !pgconn.SafeToRetry(err) {
				means = todo.ErrUnknown
			}
		}
		if !broken || attempt == attempts || errors.Is(means, todo.ErrUnknown) && !harmless {
			return fmt.Errorf("%w: %w", means, err)
		}
	}
}

// once runs a statement on one connection.
func (s *Store) once(ctx context.Context, do statement) error {
	connecting, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := s.db.Acquire(connecting)
	if err != nil {
		return fmt.Errorf("%w: %w", todo.ErrAway, err)
	}
	defer conn.Release()
	return do(ctx, conn)
}

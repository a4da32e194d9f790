package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

const (
	// If two requests have the same key at the same time, the second waits in this statement until the first
	// has ended. Each new answer deletes up to two that are older than a week, so the table does not grow.
	addOnce = `
		WITH claimed AS (
			INSERT INTO answer (key, id, title, completed, "order")
			VALUES ($1, nextval(pg_get_serial_sequence('todo', 'id')), $2, $3, $4)
			ON CONFLICT (key) DO NOTHING
			RETURNING id, title, completed, "order"
		), added AS (
			INSERT INTO todo (id, title, completed, "order") OVERRIDING SYSTEM VALUE SELECT * FROM claimed
		), expired AS (
			DELETE FROM answer WHERE key IN (
				SELECT key FROM answer WHERE added < now() - interval '7 days' AND key <> $1
				ORDER BY added LIMIT 2 FOR UPDATE SKIP LOCKED
			)
		)
		SELECT id FROM claimed`
	// A row can be read before a standby has it, and then be lost with the server. So this is a write: its
	// commit waits until a standby has the row.
	answered = `
		UPDATE answer SET key = key WHERE key = $1
		RETURNING id, title = $2 AND completed = $3 AND "order" IS NOT DISTINCT FROM $4`
)

// LastDaily returns when a Job of the CronJob daily-todo has added a todo last, in seconds since 1970; 0 if
// not within a week. The names of such Jobs are keys.
func (s *Store) LastDaily(ctx context.Context) (seconds float64, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, `SELECT coalesce(extract(epoch FROM max(added)), 0)::float8
			FROM answer WHERE key >= 'daily-todo-' AND key < 'daily-todo.'`).Scan(&seconds)
	})
	return seconds, err
}

// AddOnce adds a todo once for each key. If the key was used in the last seven days, it returns the todo as
// it was added then, even if it has changed since; if the content was different, it returns
// todo.ErrKeyReused.
func (s *Store) AddOnce(ctx context.Context, key string, content todo.Content) (todo.Todo, error) {
	added := todo.Todo{Content: content}
	args := []any{key, string(content.Title), content.Completed, content.Order}
	err := s.run(ctx, timeout, true, func(ctx context.Context, conn *pgxpool.Conn) error {
		err := conn.QueryRow(ctx, addOnce, args...).Scan(&added.ID)
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		same := false
		err = conn.QueryRow(ctx, answered, args...).Scan(&added.ID, &same)
		if err == nil && !same {
			return todo.ErrKeyReused
		}
		return err
	})
	return added, err
}

package postgres

import (
	"cmp"
	"context"
	"math"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

// Get returns a todo, or todo.ErrNotFound.
func (s *Store) Get(ctx context.Context, id int64) (found todo.Todo, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return scanOne(conn.QueryRow(ctx, `SELECT `+columns+` FROM todo WHERE id = $1`, id), &found)
	})
	return found, err
}

// List returns the todos of a page, newest first, and one more if there is a next page.
func (s *Store) List(ctx context.Context, page todo.Page) (list []todo.Todo, err error) {
	after := cmp.Or(page.After, math.MaxInt64)
	err = s.read(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, selectPage[page.Kind], after, page.Limit+1)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (t todo.Todo, err error) {
			err = row.Scan(fields(&t)...)
			return t, err
		})
		return err
	})
	return list, err
}

// Count counts active and completed todos, each up to todo.CountLimit.
func (s *Store) Count(ctx context.Context) (counts todo.Counts, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, `SELECT
			(SELECT count(*) FROM (SELECT FROM todo WHERE NOT completed ORDER BY id LIMIT $1) active),
			(SELECT count(*) FROM (SELECT FROM todo WHERE completed ORDER BY id LIMIT $1) completed)`,
			todo.CountLimit+1).Scan(&counts.Active, &counts.Completed)
	})
	return counts, err
}

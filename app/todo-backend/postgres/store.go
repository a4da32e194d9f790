// Package postgres stores todos in Postgres.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/stateful-k3s/stateful-k3s/app/internal/database"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

// MaxConns is the size of the connection pool.
const MaxConns = 5

// Migrations make the store's tables.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Store stores todos in a database with the Migrations. Its errors are errors of package todo, or wrap one.
type Store struct{ db *database.Database }

// NewStore returns the store in a database.
func NewStore(db *database.Database) *Store { return &Store{db} }

// Ready fails with todo.ErrUnavailable unless the database answers and has the store's tables.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.db.Ready(ctx, `SELECT FROM todo, answer LIMIT 0`); err != nil {
		return fmt.Errorf("%w: %w", todo.ErrUnavailable, err)
	}
	return nil
}

const columns = `id, title, completed, "order"`

// fields returns scan targets for the columns.
func fields(t *todo.Todo) []any {
	return []any{&t.ID, (*string)(&t.Title), &t.Completed, &t.Order}
}

// scanOne reads a row, or returns todo.ErrNotFound if there is none.
func scanOne(row pgx.Row, into *todo.Todo) error {
	err := row.Scan(fields(into)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return todo.ErrNotFound
	}
	return err
}

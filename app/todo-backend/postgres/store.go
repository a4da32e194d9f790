// Package postgres keeps todos in Postgres.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stateful-k3s/stateful-k3s/app/internal/database"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/batch"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

// Connections is how many the store needs at most.
const Connections = 5

// Migrations make the store's tables.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Store keeps todos in a database that has the Migrations. All of its errors are those of package todo, or
// wrap one.
type Store struct {
	db   *database.Database
	gets *batch.Batcher[int64, *todo.Todo]
	adds *batch.Batcher[todo.Content, int64]
}

// NewStore returns the store in a database.
func NewStore(db *database.Database) *Store {
	s := &Store{db: db}
	s.gets = batch.New("get", s.getAll)
	s.adds = batch.New("add", s.addAll)
	return s
}

// Ready fails with todo.ErrAway while the database does not answer, or has no such tables.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.db.Ready(ctx); err != nil {
		return fmt.Errorf("%w: %w", todo.ErrAway, err)
	}
	return s.read(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, `SELECT FROM todo, answer LIMIT 0`)
		return err
	})
}

const columns = `id, title, completed, "order"`

// fields is where a row of those columns goes.
func fields(t *todo.Todo) []any {
	return []any{&t.ID, (*string)(&t.Title), &t.Completed, &t.Order}
}

// one reads the only row, or returns todo.ErrNone.
func one(row pgx.Row, into *todo.Todo) error {
	err := row.Scan(fields(into)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return todo.ErrNone
	}
	return err
}

// all appends all rows to a list.
func all(rows pgx.Rows, list []todo.Todo) ([]todo.Todo, error) {
	var t todo.Todo
	_, err := pgx.ForEachRow(rows, fields(&t), func() error {
		list = append(list, t)
		return nil
	})
	return list, err
}

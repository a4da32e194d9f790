package postgres

import (
	"context"
	"math"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

// Get returns a todo, or todo.ErrNone.
func (s *Store) Get(id int64) (todo.Todo, error) {
	found, err := s.gets.Ask(id)
	if err != nil {
		return todo.Todo{}, err
	}
	if found == nil {
		return todo.Todo{}, todo.ErrNone
	}
	return *found, nil
}

// getAll returns nil for those that do not exist.
func (s *Store) getAll(ids []int64) ([]*todo.Todo, error) {
	var list []todo.Todo
	err := s.read(context.Background(), func(ctx context.Context, conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, `SELECT `+columns+` FROM todo WHERE id = ANY($1)`, ids)
		if err != nil {
			return err
		}
		list, err = all(rows, make([]todo.Todo, 0, len(ids)))
		return err
	})
	found := make(map[int64]*todo.Todo, len(list))
	for i := range list {
		found[list[i].ID] = &list[i]
	}
	answers := make([]*todo.Todo, len(ids))
	for i, id := range ids {
		answers[i] = found[id]
	}
	return answers, err
}

// List returns the todos of a page, newest first, and one more if the list goes on.
func (s *Store) List(page todo.Page) (list []todo.Todo, err error) {
	after := page.After
	if after == 0 {
		after = math.MaxInt64
	}
	err = s.read(context.Background(), func(ctx context.Context, conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, selectPage[page.Kind], after, page.Limit+1)
		if err != nil {
			return err
		}
		list, err = all(rows, make([]todo.Todo, 0, page.Limit+1))
		return err
	})
	return list, err
}

// Count counts active and completed todos, each up to a limit.
func (s *Store) Count(ctx context.Context) (counts todo.Counts, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, `SELECT
			(SELECT count(*) FROM (SELECT FROM todo WHERE NOT completed ORDER BY id LIMIT $1) active),
			(SELECT count(*) FROM (SELECT FROM todo WHERE completed ORDER BY id LIMIT $1) completed)`,
			todo.CountLimit+1).Scan(&counts.Active, &counts.Completed)
	})
	return counts, err
}

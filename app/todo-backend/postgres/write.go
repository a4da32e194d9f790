package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

// Add adds a todo.
func (s *Store) Add(ctx context.Context, content todo.Content) (todo.Todo, error) {
	added := todo.Todo{Content: content}
	err := s.run(ctx, timeout, false, func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx,
			`INSERT INTO todo (title, completed, "order") VALUES ($1, $2, $3) RETURNING id`,
			string(content.Title), content.Completed, content.Order).Scan(&added.ID)
	})
	return added, err
}

// Replace replaces the content of a todo, or returns todo.ErrNotFound.
func (s *Store) Replace(ctx context.Context, id int64, content todo.Content) (replaced todo.Todo, err error) {
	err = s.run(ctx, timeout, false, func(ctx context.Context, conn *pgxpool.Conn) error {
		return scanOne(conn.QueryRow(ctx,
			`UPDATE todo SET title = $2, completed = $3, "order" = $4 WHERE id = $1 RETURNING `+columns,
			id, string(content.Title), content.Completed, content.Order), &replaced)
	})
	return replaced, err
}

// Change updates the fields that the change names, or returns todo.ErrNotFound.
func (s *Store) Change(ctx context.Context, id int64, change todo.Change) (changed todo.Todo, err error) {
	var order todo.Order
	if change.Order != nil {
		order = *change.Order
	}
	err = s.run(ctx, timeout, false, func(ctx context.Context, conn *pgxpool.Conn) error {
		return scanOne(conn.QueryRow(ctx, `UPDATE todo SET
			title = coalesce($2, title), completed = coalesce($3, completed),
			"order" = CASE WHEN $4 THEN $5 ELSE "order" END
			WHERE id = $1 RETURNING `+columns,
			id, (*string)(change.Title), change.Completed, change.Order != nil, order), &changed)
	})
	return changed, err
}

// Delete deletes a todo, or returns todo.ErrNotFound.
func (s *Store) Delete(ctx context.Context, id int64) error {
	return s.run(ctx, timeout, false, func(ctx context.Context, conn *pgxpool.Conn) error {
		tag, err := conn.Exec(ctx, `DELETE FROM todo WHERE id = $1`, id)
		if err == nil && tag.RowsAffected() == 0 {
			return todo.ErrNotFound
		}
		return err
	})
}

// DeleteAll deletes all todos of a kind.
func (s *Store) DeleteAll(ctx context.Context, kind todo.Kind) error {
	return s.run(ctx, todo.Timeout, false, func(ctx context.Context, conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, deleteKind[kind])
		return err
	})
}

package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

// Add adds a todo.
func (s *Store) Add(content todo.Content) (todo.Todo, error) {
	id, err := s.adds.Ask(content)
	return todo.Todo{ID: id, Content: content}, err
}

// addAll returns the IDs.
func (s *Store) addAll(contents []todo.Content) (ids []int64, err error) {
	titles, completed, orders := make([]string, len(contents)), make([]bool, len(contents)),
		make([]*int32, len(contents))
	for i, content := range contents {
		titles[i], completed[i], orders[i] = string(content.Title), content.Completed, content.Order
	}
	err = s.run(context.Background(), timeout, false, func(ctx context.Context, conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, `
			WITH sent AS MATERIALIZED (
				SELECT nextval(pg_get_serial_sequence('todo', 'id')) AS id, *
				FROM unnest($1::text[], $2::boolean[], $3::integer[]) WITH ORDINALITY AS row (title, completed, "order", position)
			), added AS (
				INSERT INTO todo (`+columns+`) OVERRIDING SYSTEM VALUE SELECT `+columns+` FROM sent
			)
			SELECT id FROM sent ORDER BY position`, titles, completed, orders)
		if err != nil {
			return err
		}
		ids, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	})
	return ids, err
}

// Replace gives a todo another content, or returns todo.ErrNone.
func (s *Store) Replace(ctx context.Context, id int64, content todo.Content) (replaced todo.Todo, err error) {
	err = s.run(ctx, timeout, false, func(ctx context.Context, conn *pgxpool.Conn) error {
		return one(conn.QueryRow(ctx,
			`UPDATE todo SET title = $2, completed = $3, "order" = $4 WHERE id = $1 RETURNING `+columns,
			id, string(content.Title), content.Completed, content.Order), &replaced)
	})
	return replaced, err
}

// Change changes what the change says and nothing else, or returns todo.ErrNone.
func (s *Store) Change(ctx context.Context, id int64, change todo.Change) (changed todo.Todo, err error) {
	var order todo.Order
	if change.Order != nil {
		order = *change.Order
	}
	err = s.run(ctx, timeout, false, func(ctx context.Context, conn *pgxpool.Conn) error {
		return one(conn.QueryRow(ctx, `UPDATE todo SET
			title = coalesce($2, title), completed = coalesce($3, completed), "order" = CASE WHEN $4 THEN $5 ELSE "order" END
			WHERE id = $1 RETURNING `+columns,
			id, (*string)(change.Title), change.Completed, change.Order != nil, order), &changed)
	})
	return changed, err
}

// Delete deletes a todo, or returns todo.ErrNone.
func (s *Store) Delete(ctx context.Context, id int64) error {
	return s.run(ctx, timeout, false, func(ctx context.Context, conn *pgxpool.Conn) error {
		tag, err := conn.Exec(ctx, `DELETE FROM todo WHERE id = $1`, id)
		if err == nil && tag.RowsAffected() == 0 {
			return todo.ErrNone
		}
		return err
	})
}

// DeleteAll deletes all todos of a kind.
func (s *Store) DeleteAll(ctx context.Context, kind todo.Kind) error {
	return s.run(ctx, bulkTimeout, false, func(ctx context.Context, conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, deleteKind[kind])
		return err
	})
}

package postgres

import "github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"

// Each kind has an index and statements of its own: with the kind as a parameter, Postgres could not know
// which index serves.
var (
	// The inner limit is what lets it see, without knowing $2, that following the index is the best plan.
	selectPage = forEachKind(func(condition string) string {
		return `SELECT * FROM (SELECT ` + columns + ` FROM todo WHERE ` + condition +
			` AND id < $1 ORDER BY id DESC LIMIT 1001) page LIMIT $2`
	})
	deleteKind = forEachKind(func(condition string) string { return `DELETE FROM todo WHERE ` + condition })
)

func forEachKind(statement func(condition string) string) map[todo.Kind]string {
	return map[todo.Kind]string{
		todo.All:       statement("true"),
		todo.Active:    statement("NOT completed"),
		todo.Completed: statement("completed"),
	}
}

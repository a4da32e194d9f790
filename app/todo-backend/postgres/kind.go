package postgres

import (
	"strconv"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

// Each kind has its own index and its own statements: if the kind were a parameter, Postgres could not tell
// which index to use.
var (
	// The constant inner limit lets Postgres choose the index without knowing $2.
	selectPage = forEachKind(func(condition string) string {
		return `SELECT * FROM (SELECT ` + columns + ` FROM todo WHERE ` + condition +
			` AND id < $1 ORDER BY id DESC LIMIT ` + strconv.Itoa(todo.MaxPage+1) + `) page LIMIT $2`
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

package page

import "github.com/stateful-k3s/stateful-k3s/app/todo-frontend/backend"

// row is a todo on the page, or its editor.
type row struct {
	backend.Todo
	Editing           bool
	Edited, EditError string
	// Query links to the page, EditQuery to the page with the todo's editor.
	Query, EditQuery string
}

// Rows returns the todos.
func (p Page) Rows() []row {
	closed := p.Closed().Query()
	rows := make([]row, len(p.Todos))
	for i, todo := range p.Todos {
		edit := p.View
		edit.Edit = todo.ID
		rows[i] = row{Todo: todo, Query: closed, EditQuery: edit.Query()}
		if todo.ID != p.Edit {
			continue
		}
		rows[i].Editing, rows[i].Edited, rows[i].EditError = true, todo.Title, p.EditError
		if p.EditError != "" {
			rows[i].Edited = p.Edited
		}
	}
	return rows
}

// Blank is the template that the script makes rows from.
func (p Page) Blank() row { return row{} }

package page

import (
	"html/template"
	"strings"
	"sync/atomic"

	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/backend"
)

// row is a todo of a page, or the editor of one.
type row struct {
	backend.Todo
	Editing           bool
	Edited, EditError string
	// Query leads back to the page, and EditQuery to the page with the editor.
	Query, EditQuery string
}

// rendered are rows, of a list with this tag in this view.
type rendered struct {
	tag  string
	view View
	rows template.HTML
}

// last are the rows that were rendered last. Most visitors look at the same ones, and they are most of the work.
var last atomic.Pointer[rendered]

// Rendered are the rows in HTML.
func (p Page) Rendered() (template.HTML, error) {
	common := p.ETag != "" && p.EditError == ""
	if known := last.Load(); common && known != nil && known.tag == p.ETag && known.view == p.View {
		return known.rows, nil
	}
	var html strings.Builder
	if err := page.ExecuteTemplate(&html, "rows", p); err != nil {
		return "", err
	}
	rows := template.HTML(html.String()) //nolint:gosec // the template has escaped it
	if common {
		last.Store(&rendered{p.ETag, p.View, rows})
	}
	return rows, nil
}

// Rows are the todos.
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

// Blank is what the script makes rows from.
func (p Page) Blank() row { return row{} }

// Package page renders the page. It works without its script.
package page

import (
	"cmp"
	"crypto/rand"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/backend"
)

// Page is the content of a page.
type Page struct {
	View
	backend.List
	Counts backend.Counts
	// Away means that the backend does not answer.
	Away bool
	// Key makes the form for new todos add one todo, however often it is sent.
	Key string

	// Notice reports a failed action that has no error field.
	Notice string
	// Draft is the text of a new todo that was refused.
	Draft, DraftError string
	// Edited is a new title that was refused.
	Edited, EditError string
}

// NewKey returns a key for the form.
func NewKey() string { return rand.Text() }

//go:embed page.html
var source string

var functions = template.FuncMap{
	"asset": func(file string) string { return "/static/" + names[file] },
	"count": count,
	"limits": func() limits {
		return limits{todo.MaxTitle, todo.DefaultPage, todo.MaxPage, todo.CountLimit, timeout.Milliseconds()}
	},
	"parts": parts,
}

// limits are what the script needs to know: the backend's limits, and how many milliseconds it waits for an
// answer.
type limits struct {
	Title, Page, MaxPage, Count int
	Timeout                     int64
}

// timeout leaves an answer that comes late the time to get through a slow network.
const timeout = backend.Timeout + 8*time.Second

var page = template.Must(template.New("page").Funcs(functions).Parse(source))

// Render writes the page as HTML.
func (p Page) Render(w io.Writer) error {
	p.Key = cmp.Or(p.Key, NewKey())
	if p.EditError != "" {
		p.keepEdited()
	}
	return page.Execute(w, p)
}

// keepEdited shows a refused title although the page does not have its todo.
func (p *Page) keepEdited() {
	switch {
	case slices.ContainsFunc(p.Todos, func(t backend.Todo) bool { return t.ID == p.Edit }):
	case p.Away:
		p.Todos = []backend.Todo{{ID: p.Edit}}
	default:
		p.Draft, p.DraftError, p.Edit = p.Edited, p.EditError, 0
	}
}

type filter struct {
	View
	Name    string
	Current bool
}

// Filters returns the links of the navigation.
func (p Page) Filters() []filter {
	all := []filter{{Name: "All"}, {Name: "Active", View: View{Show: "active"}},
		{Name: "Completed", View: View{Show: "completed"}}}
	for i := range all {
		all[i].Current = all[i].Show == p.Show
	}
	return all
}

// Next is the view of the next page.
func (p Page) Next() View {
	next := p.First()
	if n := len(p.Todos); n > 0 {
		next.After = p.Todos[n-1].ID
	}
	return next
}

// count formats a number of todos.
func count(n int) string {
	switch {
	case n > todo.CountLimit:
		return count(todo.CountLimit) + "+"
	case n > 999:
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	}
	return strconv.Itoa(n)
}

// Package page renders the page, which is complete without its script.
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

	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/backend"
)

// Size is how many todos a page has.
const Size = 100

// Page is all that is on a page.
type Page struct {
	View
	backend.List
	Counts backend.Counts
	// Away says that the todos cannot be had.
	Away bool
	// Key is that of the form for new todos.
	Key string
	Refused
}

// Refused is what of an action is left to be shown, which on most pages is nothing.
type Refused struct {
	// Notice tells what became of it, if nothing else on the page does.
	Notice string
	// Draft is a new todo.
	Draft, DraftError string
	// Edited is a new title for the todo that is being edited.
	Edited, EditError string
}

// NewKey is for a form, which adds one todo however often it is sent.
func NewKey() string { return rand.Text() }

//go:embed page.html
var source string

var functions = template.FuncMap{
	"asset": func(file string) string { return "/static/" + names[file] },
	"count": count,
	"parts": parts,
}

var page = template.Must(template.New("page").Funcs(functions).Parse(source))

// Render writes the page as HTML.
func (p Page) Render(w io.Writer) error {
	p.Key = cmp.Or(p.Key, NewKey())
	if p.ETag != "" && p.Refused == (Refused{}) {
		return p.writeCommon(w)
	}
	if p.EditError != "" {
		p.keepEdited()
	}
	return page.Execute(w, p)
}

// keepEdited finds a place for a refused title whose todo is not among those of the page.
func (p *Page) keepEdited() {
	switch {
	case slices.ContainsFunc(p.Todos, func(todo backend.Todo) bool { return todo.ID == p.Edit }):
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

// Filters are what may be shown.
func (p Page) Filters() []filter {
	all := []filter{{Name: "All"}, {Name: "Active", View: View{Show: "active"}},
		{Name: "Completed", View: View{Show: "completed"}}}
	for i := range all {
		all[i].Current = all[i].Show == p.Show
	}
	return all
}

// Next is where the list goes on.
func (p Page) Next() View {
	next := p.First()
	if n := len(p.Todos); n > 0 {
		next.After = p.Todos[n-1].ID
	}
	return next
}

// count is a number of todos, of which the backend counts 10,000.
func count(n int) string {
	switch {
	case n > 10_000:
		return "10,000+"
	case n > 999:
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	}
	return strconv.Itoa(n)
}

package page

import (
	"net/url"
	"strconv"
)

// View is the part of the list that a visitor sees. The query of the page's URL encodes it.
type View struct {
	// Show is "active", "completed" or "" for all.
	Show string
	// After is the ID that the page starts after, or 0.
	After int64
	// Edit is the ID of the todo that is being edited, or 0.
	Edit int64
}

// ParseView ignores what it does not understand.
func ParseView(query url.Values) (view View) {
	if show := query.Get("show"); show == "active" || show == "completed" {
		view.Show = show
	}
	view.After, _ = ParseID(query.Get("after"))
	view.Edit, _ = ParseID(query.Get("edit"))
	return view
}

// ParseID parses the ID of a todo, a positive number.
func ParseID(text string) (id int64, ok bool) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, false
	}
	return id, true
}

// Address returns the view's URL.
func (v View) Address() string { return "/" + v.Query() }

// Query returns the view's query with its question mark, or "".
func (v View) Query() string {
	values := url.Values{}
	if v.Show != "" {
		values.Set("show", v.Show)
	}
	if v.After != 0 {
		values.Set("after", strconv.FormatInt(v.After, 10))
	}
	if v.Edit != 0 {
		values.Set("edit", strconv.FormatInt(v.Edit, 10))
	}
	if len(values) == 0 {
		return ""
	}
	return "?" + values.Encode()
}

// Filter returns the backend's parameter for what the view shows.
func (v View) Filter() (completed string) {
	return map[string]string{"active": "false", "completed": "true"}[v.Show]
}

// First is the view of the newest todos.
func (v View) First() View { return View{Show: v.Show} }

// Closed is the view without an editor.
func (v View) Closed() View { return View{Show: v.Show, After: v.After} }

// WithNew is the view that shows a new todo.
func (v View) WithNew() View {
	if v.Show == "completed" {
		return View{}
	}
	return v.First()
}

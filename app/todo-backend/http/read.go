package http

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

const defaultLimit, largestLimit = 100, 1000

func (h handler) get(w http.ResponseWriter, r *http.Request) error {
	base, err := baseURL(r)
	if err != nil {
		return err
	}
	id, err := id(r)
	if err != nil {
		return err
	}
	found, err := h.store.Get(id)
	if err != nil {
		return err
	}
	answer(w, r, func(b []byte) []byte { return appendTodo(b, base, found) })
	return nil
}

func (h handler) counts(w http.ResponseWriter, r *http.Request) error {
	counts, err := h.store.Count(r.Context())
	if err != nil {
		return err
	}
	answer(w, r, func(b []byte) []byte {
		return fmt.Appendf(b, `{"active": %d, "completed": %d}`, counts.Active, counts.Completed)
	})
	return nil
}

func (h handler) list(w http.ResponseWriter, r *http.Request) error {
	base, err := baseURL(r)
	if err != nil {
		return err
	}
	page, err := pageOf(r)
	if err != nil {
		return err
	}
	list, err := h.store.List(page)
	if err != nil {
		return err
	}
	if len(list) > page.Limit {
		list = list[:page.Limit]
		w.Header().Set("Link", "<"+base+nextPage(page, list[page.Limit-1].ID)+`>; rel="next"`)
	}
	answer(w, r, func(b []byte) []byte { return appendTodos(b, base, list) })
	return nil
}

// pageOf reads ?limit=, ?after= and ?completed=.
func pageOf(r *http.Request) (todo.Page, error) {
	page := todo.Page{Limit: defaultLimit}
	query, err := parameters(r, "limit", "after", "completed")
	if err != nil {
		return page, err
	}
	if query.Has("limit") {
		page.Limit, err = strconv.Atoi(query.Get("limit"))
		if err != nil || page.Limit < 1 || page.Limit > largestLimit {
			return page, malformed("limit is no number from 1 to %d", largestLimit)
		}
	}
	if query.Has("after") {
		var ok bool
		if page.After, ok = parseID(query.Get("after")); !ok {
			return page, malformed("after is not the id of a todo")
		}
	}
	page.Kind, err = kindOf(query)
	return page, err
}

// nextPage is the path of the page behind a todo.
func nextPage(page todo.Page, after int64) string {
	query := url.Values{"limit": {strconv.Itoa(page.Limit)}, "after": {strconv.FormatInt(after, 10)}}
	if page.Kind != todo.All {
		query.Set("completed", strconv.FormatBool(page.Kind == todo.Completed))
	}
	return "/todos?" + query.Encode()
}

// parameters are those of the query. One that has no meaning is refused: a misspelt filter would list or delete all todos.
func parameters(r *http.Request, names ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, malformed("the query cannot be read: %v", err)
	}
	known := 0
	for _, name := range names {
		if query.Has(name) {
			known++
		}
		if len(query[name]) > 1 {
			return nil, malformed("%s stands in the query more than once", name)
		}
	}
	if known < len(query) {
		return nil, malformed("the query has unknown parameters; there are %q", names)
	}
	return query, nil
}

// kindOf reads the filter ?completed=.
func kindOf(query url.Values) (todo.Kind, error) {
	if !query.Has("completed") {
		return todo.All, nil
	}
	switch query.Get("completed") {
	case "true":
		return todo.Completed, nil
	case "false":
		return todo.Active, nil
	default:
		return todo.All, malformed("completed is neither true nor false")
	}
}

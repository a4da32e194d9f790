package http

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

func (h handler) get(w http.ResponseWriter, r *http.Request) error {
	base, err := baseURL(r)
	if err != nil {
		return err
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	found, err := h.store.Get(r.Context(), id)
	if err != nil {
		return err
	}
	return answer(w, r, newItem(base, found))
}

func (h handler) counts(w http.ResponseWriter, r *http.Request) error {
	counts, err := h.store.Count(r.Context())
	if err != nil {
		return err
	}
	return answer(w, r, counts)
}

func (h handler) list(w http.ResponseWriter, r *http.Request) error {
	base, err := baseURL(r)
	if err != nil {
		return err
	}
	page, err := parsePage(r)
	if err != nil {
		return err
	}
	if page.Limit > todo.DefaultPage {
		if !h.longLists.TryAcquire(1) {
			web.Unavailable(w, "too many lists of more than "+strconv.Itoa(todo.DefaultPage)+
				" todos are being read", retryAfter)
			return nil
		}
		defer h.longLists.Release(1)
	}
	list, err := h.store.List(r.Context(), page)
	if err != nil {
		return err
	}
	if len(list) > page.Limit {
		list = list[:page.Limit]
		w.Header().Set("Link", "<"+base+nextPage(page, list[page.Limit-1].ID)+`>; rel="next"`)
	}
	items := make([]item, len(list))
	for i, t := range list {
		items[i] = newItem(base, t)
	}
	return answer(w, r, items)
}

// parsePage reads ?limit=, ?after= and ?completed=.
func parsePage(r *http.Request) (todo.Page, error) {
	page := todo.Page{Limit: todo.DefaultPage}
	query, err := parseQuery(r, "limit", "after", "completed")
	if err != nil {
		return page, err
	}
	if query.Has("limit") {
		page.Limit, err = strconv.Atoi(query.Get("limit"))
		if err != nil || page.Limit < 1 || page.Limit > todo.MaxPage {
			return page, malformed("limit is not a number from 1 to %d", todo.MaxPage)
		}
	}
	if query.Has("after") {
		var ok bool
		if page.After, ok = parseID(query.Get("after")); !ok {
			return page, malformed("after is not the id of a todo")
		}
	}
	page.Kind, err = parseKind(query)
	return page, err
}

// nextPage returns path and query of the page that starts after a todo.
func nextPage(page todo.Page, after int64) string {
	query := url.Values{"limit": {strconv.Itoa(page.Limit)}, "after": {strconv.FormatInt(after, 10)}}
	if page.Kind != todo.All {
		query.Set("completed", strconv.FormatBool(page.Kind == todo.Completed))
	}
	return "/todos?" + query.Encode()
}

// parseQuery refuses unknown parameters: with a misspelt filter, a request would list or delete all todos.
func parseQuery(r *http.Request, names ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, malformed("the query is malformed: %v", err)
	}
	known := 0
	for _, name := range names {
		if query.Has(name) {
			known++
		}
		if len(query[name]) > 1 {
			return nil, malformed("the query has %s more than once", name)
		}
	}
	if known < len(query) {
		return nil, malformed("the query has unknown parameters; the known ones are %q", names)
	}
	return query, nil
}

// parseKind reads the filter ?completed=.
func parseKind(query url.Values) (todo.Kind, error) {
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

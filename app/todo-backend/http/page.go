package http

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

const (
	defaultLimit, largestLimit = 100, 1000
	// reading is how many todos are read at once for lists. With the longest titles and addresses they take 16
	// MB.
	reading = 20 * largestLimit
)

// pageRequest is all that decides what is answered.
type pageRequest struct {
	base string
	todo.Page
}

// page is an answer, with the path of the next page if the list goes on.
type page struct {
	document
	next string
}

func (h handler) list(w http.ResponseWriter, r *http.Request) error {
	base, err := baseURL(r)
	if err != nil {
		return err
	}
	wanted, err := parsePage(r)
	if err != nil {
		return err
	}
	page, err := h.readPage(pageRequest{base, wanted})
	if err != nil {
		return err
	}
	if page.next != "" {
		w.Header().Set("Link", "<"+base+page.next+`>; rel="next"`)
	}
	page.answer(w, r)
	return nil
}

func (h handler) readPage(wanted pageRequest) (page, error) {
	if err := h.reading.Acquire(context.Background(), int64(wanted.Limit)); err != nil {
		return page{}, err
	}
	defer h.reading.Release(int64(wanted.Limit))
	return h.pages.Ask(wanted)
}

// readPages reads each page once, however many ask for it.
func (h handler) readPages(requests []pageRequest) ([]page, error) {
	known := map[pageRequest]page{}
	pages := make([]page, len(requests))
	for i, request := range requests {
		if _, again := known[request]; !again {
			list, err := h.store.List(request.Page)
			if err != nil {
				return nil, err
			}
			known[request] = newPage(request, list)
		}
		pages[i] = known[request]
	}
	return pages, nil
}

// newPage gets one todo more than the page has if the list goes on.
func newPage(request pageRequest, list []todo.Todo) (p page) {
	if len(list) > request.Limit {
		list = list[:request.Limit]
		p.next = nextPage(request.Page, list[request.Limit-1].ID)
	}
	p.document = newDocument(encodeTodos(request.base, list))
	return p
}

// parsePage reads ?limit=, ?after= and ?completed=.
func parsePage(r *http.Request) (todo.Page, error) {
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

// parameters are those of the query. One that has no meaning is refused: a misspelt filter would list or
// delete all todos.
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

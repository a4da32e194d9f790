// Package http serves the page, handles its forms, and forwards /todos to the backend.
package http

import (
	"bytes"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/klauspost/compress/gzhttp"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/backend"
	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/page"
)

const (
	retryAfter = 2 // seconds
	// maxPages are loaded and rendered at the same time, which limits memory: a page with the longest titles
	// takes half a megabyte.
	maxPages = 8
)

type site struct {
	backend *backend.Backend
	pages   *semaphore.Weighted
}

// Register adds the page and everything that belongs to it to a mux.
func Register(mux *http.ServeMux, b *backend.Backend, guard *Guard, login *Login) {
	s := &site{b, semaphore.NewWeighted(maxPages)}
	protect := func(handler http.Handler) http.Handler { return guard.protect(login.require(handler)) }
	for pattern, handler := range map[string]http.Handler{
		"GET /{$}":                 http.HandlerFunc(s.show),
		"POST /form/add":           form(s.add),
		"POST /form/complete/{id}": todoForm(s.complete),
		"POST /form/edit/{id}":     todoForm(s.edit),
		"POST /form/delete/{id}":   todoForm(s.delete),
		"POST /form/clear":         form(s.clear),
	} {
		mux.Handle(pattern, protect(gzhttp.GzipHandler(handler)))
	}
	// Assets are not secret, and the guard's own page needs them.
	mux.Handle("GET /static/{name}", withHeaders(gzhttp.GzipHandler(page.Assets)))
	proxy := protect(b.Proxy())
	mux.Handle("/todos", proxy)
	mux.Handle("/todos/", proxy)
}

func (s *site) show(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, page.Page{View: page.ParseView(r.URL.Query())})
}

// render adds the todos to a page and sends it.
func (s *site) render(w http.ResponseWriter, r *http.Request, status int, p page.Page) {
	if s.pages.Acquire(r.Context(), 1) != nil {
		return // the visitor has gone
	}
	if s.load(r, &p) != nil { // the error is logged
		p.Away = true
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	var html bytes.Buffer
	err := p.Render(&html)
	s.pages.Release(1)
	if err != nil {
		slog.Error("render the page", "error", err)
		web.Problem(w, http.StatusInternalServerError, "")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(html.Bytes()) // the visitor may have gone
}

// load gets list and counts at the same time. After an error the page has neither.
func (s *site) load(r *http.Request, p *page.Page) error {
	var list backend.List
	var counts backend.Counts
	var group errgroup.Group
	group.Go(func() (err error) {
		query := backend.Query{Completed: p.Filter(), After: p.After, Limit: todo.DefaultPage}
		list, err = s.backend.List(r, query)
		return err
	})
	group.Go(func() (err error) {
		counts, err = s.backend.Counts(r)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	p.List, p.Counts = list, counts
	return nil
}

// Package http serves the page, what its forms do, and the backend's /todos.
package http

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync"

	"github.com/klauspost/compress/gzhttp"
	"golang.org/x/sync/semaphore"

	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/backend"
	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/page"
)

const (
	retryAfter = 2 // seconds
	// maxPages are made at once. With the longest titles each takes 300 kB.
	maxPages = 32
)

type site struct {
	backend *backend.Backend
	load    load
	buffers sync.Pool
	making  *semaphore.Weighted // pages
}

// Handle adds the page and all that belongs to it.
func Handle(mux *http.ServeMux, b *backend.Backend, guard *Guard) {
	s := &site{backend: b, load: shared(loadFrom(b)), making: semaphore.NewWeighted(maxPages)}
	s.buffers.New = func() any { return new(bytes.Buffer) }
	for pattern, handler := range map[string]http.Handler{
		"GET /{$}":                 http.HandlerFunc(s.show),
		"POST /form/add":           form(s.add),
		"POST /form/complete/{id}": ofTodo(s.complete),
		"POST /form/edit/{id}":     ofTodo(s.edit),
		"POST /form/delete/{id}":   ofTodo(s.delete),
		"POST /form/clear":         form(s.clear),
	} {
		mux.Handle(pattern, guard.protect(gzhttp.GzipHandler(handler)))
	}
	// They are no secret, and the page that the guard shows has them too.
	mux.Handle("GET /static/{name}", withHeaders(gzhttp.GzipHandler(page.Assets)))
	proxy := guard.protect(b.Proxy())
	mux.Handle("/todos", proxy)
	mux.Handle("/todos/", proxy)
}

func (s *site) show(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, page.Page{View: page.ParseView(r.URL.Query())})
}

// render adds the todos to a page and sends it.
func (s *site) render(w http.ResponseWriter, r *http.Request, status int, p page.Page) {
	loaded, err := s.load(r, backend.Query{Completed: p.Filter(), After: p.After, Limit: page.Size})
	if err == nil {
		p.List, p.Counts = loaded.List, loaded.Counts
	} else { // it is logged
		p.Away = true
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	buffer, err := s.make(r.Context(), p)
	if err != nil {
		slog.Error("render the page", "error", err)
		web.Problem(w, http.StatusInternalServerError, "")
		return
	}
	defer s.buffers.Put(buffer)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(buffer.Bytes()) // the visitor may have gone
}

// make returns a buffer of the site's with a page in it.
func (s *site) make(ctx context.Context, p page.Page) (*bytes.Buffer, error) {
	if err := s.making.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer s.making.Release(1)
	buffer := s.buffers.Get().(*bytes.Buffer)
	buffer.Reset()
	return buffer, p.Render(buffer)
}

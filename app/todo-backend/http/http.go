// Package http serves todos over HTTP: the public Todo-Backend contract (https://todobackend.com) and more.
package http

import (
	"context"
	"net/http"
	"strconv"

	"golang.org/x/sync/semaphore"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

// Store stores todos. Its errors are errors of package todo, or wrap one.
type Store interface {
	Add(ctx context.Context, content todo.Content) (todo.Todo, error)
	AddOnce(ctx context.Context, key string, content todo.Content) (todo.Todo, error)
	Get(ctx context.Context, id int64) (todo.Todo, error)
	List(ctx context.Context, page todo.Page) ([]todo.Todo, error)
	Count(ctx context.Context) (todo.Counts, error)
	Replace(ctx context.Context, id int64, content todo.Content) (todo.Todo, error)
	Change(ctx context.Context, id int64, change todo.Change) (todo.Todo, error)
	Delete(ctx context.Context, id int64) error
	DeleteAll(ctx context.Context, kind todo.Kind) error
}

// maxLongLists are read and sent at the same time. Each takes a megabyte until its reader has it, and readers
// may be slow.
const maxLongLists = 16

type handler struct {
	store     Store
	longLists *semaphore.Weighted
}

// Register adds the routes below /todos to a mux.
func Register(mux *http.ServeMux, store Store) {
	h := handler{store, semaphore.NewWeighted(maxLongLists)}
	mux.Handle("GET /todos", endpoint(h.list))
	mux.Handle("GET /todos/counts", endpoint(h.counts))
	mux.Handle("GET /todos/{id}", endpoint(h.get))
	mux.Handle("POST /todos", writing(http.StatusCreated, h.add))
	mux.Handle("PUT /todos/{id}", writing(http.StatusOK, h.replace))
	mux.Handle("PATCH /todos/{id}", writing(http.StatusOK, h.change))
	mux.Handle("DELETE /todos/{id}", endpoint(h.delete))
	mux.Handle("DELETE /todos", endpoint(h.deleteAll))
}

// endpoint is a handler that returns an error instead of answering with a problem.
type endpoint func(w http.ResponseWriter, r *http.Request) error

func (e endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := e(w, r); err != nil {
		refuse(w, r, err)
	}
}

// pathID returns the ID in the path.
func pathID(r *http.Request) (int64, error) {
	id, ok := parseID(r.PathValue("id"))
	if !ok {
		return 0, todo.ErrNotFound
	}
	return id, nil
}

// parseID accepts an ID in the one form that URLs of todos have: no sign, no leading zeros.
func parseID(text string) (id int64, ok bool) {
	id, err := strconv.ParseInt(text, 10, 64)
	return id, err == nil && id > 0 && strconv.FormatInt(id, 10) == text
}

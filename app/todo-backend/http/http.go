// Package http offers todos over HTTP, as the public Todo-Backend contract asks (https://todobackend.com) and
// beyond it.
package http

import (
	"context"
	"net/http"
	"strconv"

	"golang.org/x/sync/semaphore"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/batch"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

// Store keeps todos. Its errors are those of package todo, or wrap one.
type Store interface {
	Add(todo.Content) (todo.Todo, error)
	AddOnce(ctx context.Context, key string, content todo.Content) (todo.Todo, error)
	Get(id int64) (todo.Todo, error)
	List(todo.Page) ([]todo.Todo, error)
	Count(context.Context) (todo.Counts, error)
	Replace(ctx context.Context, id int64, content todo.Content) (todo.Todo, error)
	Change(ctx context.Context, id int64, change todo.Change) (todo.Todo, error)
	Delete(ctx context.Context, id int64) error
	DeleteAll(context.Context, todo.Kind) error
}

type handler struct {
	store   Store
	pages   *batch.Batcher[pageRequest, page]
	reading *semaphore.Weighted // todos
}

// Handle adds everything below /todos.
func Handle(mux *http.ServeMux, store Store) {
	h := handler{store: store, reading: semaphore.NewWeighted(reading)}
	h.pages = batch.New("list", h.readPages)
	mux.Handle("GET /todos", endpoint(h.list))
	mux.Handle("GET /todos/counts", endpoint(h.counts))
	mux.Handle("GET /todos/{id}", endpoint(h.get))
	mux.Handle("POST /todos", sending(http.StatusCreated, h.add))
	mux.Handle("PUT /todos/{id}", sending(http.StatusOK, h.replace))
	mux.Handle("PATCH /todos/{id}", sending(http.StatusOK, h.change))
	mux.Handle("DELETE /todos/{id}", endpoint(h.delete))
	mux.Handle("DELETE /todos", endpoint(h.deleteAll))
}

// endpoint answers requests, or returns why it does not.
type endpoint func(w http.ResponseWriter, r *http.Request) error

func (e endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := e(w, r); err != nil {
		refuse(w, r, err)
	}
}

// id is the number in the path.
func id(r *http.Request) (int64, error) {
	id, ok := parseID(r.PathValue("id"))
	if !ok {
		return 0, todo.ErrNone
	}
	return id, nil
}

// parseID reads a number as it is written in URLs of todos, and in no other way.
func parseID(text string) (id int64, ok bool) {
	id, err := strconv.ParseInt(text, 10, 64)
	return id, err == nil && id > 0 && strconv.FormatInt(id, 10) == text
}

package backend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

// maxAnswer is far more than a page of the longest titles, in bytes.
const maxAnswer = 4 << 20

// Todo is a todo of the list.
type Todo struct {
	ID        int64  `json:"id"`
	Title     string `json:"title"`
	Completed bool   `json:"completed"`
}

// Counts are the numbers of todos.
type Counts = todo.Counts

// Query selects todos, newest first.
type Query struct {
	// Completed is "true", "false" or "" for all.
	Completed string
	// After is the ID that the list starts after, or 0.
	After int64
	Limit int
}

// List is a page of todos.
type List struct {
	Todos []Todo
	// More means that there is a next page.
	More bool
	// ETag is the backend's entity tag of the page.
	ETag string
}

// Refusal is an answer of the backend that a retry would not change.
type Refusal struct {
	Status int
	// Detail is shown to the visitor.
	Detail string
}

func (r *Refusal) Error() string { return fmt.Sprintf("refused with %d: %s", r.Status, r.Detail) }

// List lists todos. Like all methods it acts on behalf of a visitor, and its error is ErrAway or a *Refusal.
func (b *Backend) List(visit *http.Request, query Query) (List, error) {
	values := url.Values{"limit": {strconv.Itoa(query.Limit)}}
	if query.Completed != "" {
		values.Set("completed", query.Completed)
	}
	if query.After != 0 {
		values.Set("after", strconv.FormatInt(query.After, 10))
	}
	var list List
	header, err := b.do(visit, call{method: http.MethodGet, path: "/todos", query: values, answer: &list.Todos})
	list.More = strings.Contains(header.Get("Link"), `rel="next"`)
	list.ETag = header.Get("ETag")
	return list, err
}

// Counts counts the todos.
func (b *Backend) Counts(visit *http.Request) (counts Counts, err error) {
	_, err = b.do(visit, call{method: http.MethodGet, path: "/todos/counts", answer: &counts})
	return counts, err
}

// Add adds a todo, once for each key.
func (b *Backend) Add(visit *http.Request, title, key string) error {
	body := map[string]any{"title": title}
	_, err := b.do(visit, call{method: http.MethodPost, path: "/todos", body: body, key: key})
	return err
}

// Rename gives a todo another title.
func (b *Backend) Rename(visit *http.Request, id int64, title string) error {
	body := map[string]any{"title": title}
	_, err := b.do(visit, call{method: http.MethodPatch, path: todoPath(id), body: body})
	return err
}

// Complete marks a todo as completed or not.
func (b *Backend) Complete(visit *http.Request, id int64, completed bool) error {
	body := map[string]any{"completed": completed}
	_, err := b.do(visit, call{method: http.MethodPatch, path: todoPath(id), body: body})
	return err
}

// Delete deletes a todo. It succeeds if there is no such todo any more.
func (b *Backend) Delete(visit *http.Request, id int64) error {
	_, err := b.do(visit, call{method: http.MethodDelete, path: todoPath(id)})
	if refusal, ok := errors.AsType[*Refusal](err); ok && refusal.Status == http.StatusNotFound {
		return nil
	}
	return err
}

// DeleteCompleted deletes all completed todos.
func (b *Backend) DeleteCompleted(visit *http.Request) error {
	query := url.Values{"completed": {"true"}}
	_, err := b.do(visit, call{method: http.MethodDelete, path: "/todos", query: query})
	return err
}

func todoPath(id int64) string { return "/todos/" + strconv.FormatInt(id, 10) }

// call is a request to the backend. It sends body as JSON and decodes the answer into answer, unless they are
// nil.
type call struct {
	method, path string
	query        url.Values
	key          string
	body, answer any
}

func (b *Backend) do(visit *http.Request, c call) (http.Header, error) {
	ctx, cancel := context.WithTimeout(visit.Context(), Timeout)
	defer cancel()
	header, err := b.exchange(ctx, visit, c)
	if err == nil {
		return header, nil
	}
	if _, refused := errors.AsType[*Refusal](err); refused {
		return nil, err
	}
	slog.Warn("the backend is away", "method", c.method, "path", c.path, "error", err)
	return nil, ErrAway
}

func (b *Backend) exchange(ctx context.Context, visit *http.Request, c call) (http.Header, error) {
	var body io.Reader
	if c.body != nil {
		encoded, err := json.Marshal(c.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(encoded)
	}
	target := b.address.JoinPath(c.path)
	target.RawQuery = c.query.Encode()
	request, err := http.NewRequestWithContext(ctx, c.method, target.String(), body)
	if err != nil {
		return nil, err
	}
	forward(visit, request.Header)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		request.Header.Set("Idempotency-Key", c.key)
	}
	response, err := b.transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	switch {
	case response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests:
		return nil, fmt.Errorf("it answered %s", response.Status)
	case response.StatusCode >= 300:
		var problem struct{ Title, Detail string }
		if err := json.Unmarshal(answer, &problem); err != nil {
			return nil, fmt.Errorf("it answered %s without a problem: %w", response.Status, err)
		}
		return nil, &Refusal{response.StatusCode, problem.Detail}
	case c.answer != nil:
		if err := json.Unmarshal(answer, c.answer); err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
	}
	return response.Header, nil
}

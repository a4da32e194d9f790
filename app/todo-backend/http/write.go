package http

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

const (
	maxKey         = 255 // characters
	maxLoggedTitle = 200 // bytes
)

// writing handles requests that carry a todo or a part of one. It logs each, with the reason if it is
// refused.
func writing(success int, store func(r *http.Request, sent body) (todo.Todo, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base, err := baseURL(r)
		var sent body
		if err == nil {
			sent, err = readBody(w, r)
		}
		var stored todo.Todo
		if err == nil {
			stored, err = store(r, sent)
		}
		item := newItem(base, stored)
		var answer []byte
		if err == nil {
			answer, err = encode(item)
		}
		log := slog.With("method", r.Method, "title", excerpt(sent.title), "request", web.RequestID(r))
		if err != nil {
			log.Info("todo", "status", refuse(w, r, err), "reason", err)
			return
		}
		if success == http.StatusCreated {
			w.Header().Set("Location", item.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(success)
		_, _ = w.Write(answer) //nolint:gosec // JSON; the client may have gone
		log.Info("todo", "status", success, "id", stored.ID)
	})
}

func excerpt(title *string) string {
	switch {
	case title == nil:
		return ""
	case len(*title) > maxLoggedTitle:
		return strings.ToValidUTF8((*title)[:maxLoggedTitle], "") + "…"
	default:
		return *title
	}
}

func (h handler) add(r *http.Request, sent body) (todo.Todo, error) {
	key, err := idempotencyKey(r)
	if err != nil {
		return todo.Todo{}, err
	}
	content, err := sent.content()
	if err != nil {
		return todo.Todo{}, err
	}
	if key == "" {
		return h.store.Add(r.Context(), content)
	}
	return h.store.AddOnce(r.Context(), key, content)
}

// idempotencyKey returns "" if the request has none.
func idempotencyKey(r *http.Request) (string, error) {
	keys := r.Header.Values("Idempotency-Key")
	if len(keys) == 0 {
		return "", nil
	}
	unprintable := func(c rune) bool { return c < ' ' || c > '~' }
	if len(keys) > 1 || keys[0] == "" || len(keys[0]) > maxKey || strings.ContainsFunc(keys[0], unprintable) {
		return "", malformed("Idempotency-Key is not one key of 1 to %d printable ASCII characters", maxKey)
	}
	return keys[0], nil
}

func (h handler) replace(r *http.Request, sent body) (todo.Todo, error) {
	id, err := pathID(r)
	if err != nil {
		return todo.Todo{}, err
	}
	content, err := sent.content()
	if err != nil {
		return todo.Todo{}, err
	}
	return h.store.Replace(r.Context(), id, content)
}

func (h handler) change(r *http.Request, sent body) (todo.Todo, error) {
	id, err := pathID(r)
	if err != nil {
		return todo.Todo{}, err
	}
	change := todo.Change{Completed: sent.completed, Order: sent.order}
	if sent.title != nil {
		title, err := todo.ParseTitle(*sent.title)
		if err != nil {
			return todo.Todo{}, err
		}
		change.Title = &title
	}
	return h.store.Change(r.Context(), id, change)
}

func (h handler) delete(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := h.store.Delete(r.Context(), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h handler) deleteAll(w http.ResponseWriter, r *http.Request) error {
	query, err := parseQuery(r, "completed")
	if err != nil {
		return err
	}
	kind, err := parseKind(query)
	if err != nil {
		return err
	}
	if err := h.store.DeleteAll(r.Context(), kind); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

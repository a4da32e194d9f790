package http

import (
	"fmt"
	"net/http"
)

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
	newDocument(encodeTodo(base, found)).answer(w, r)
	return nil
}

func (h handler) counts(w http.ResponseWriter, r *http.Request) error {
	counts, err := h.store.Count(r.Context())
	if err != nil {
		return err
	}
	newDocument(fmt.Appendf(nil, `{"active": %d, "completed": %d}`, counts.Active, counts.Completed)).answer(w,
		r)
	return nil
}

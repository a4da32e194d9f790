package http

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/backend"
	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/page"
)

const (
	maxForm  = 16 << 10 // bytes
	formType = "application/x-www-form-urlencoded"
)

// form parses a form. The page is the one that sent it.
func form(handle func(w http.ResponseWriter, r *http.Request, p page.Page)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != formType {
			web.Problem(w, http.StatusUnsupportedMediaType, "the Content-Type of a form is "+formType)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			status := http.StatusBadRequest
			if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
				status = http.StatusRequestEntityTooLarge
			}
			web.Problem(w, status, err.Error())
			return
		}
		handle(w, r, page.Page{View: page.ParseView(r.URL.Query())})
	})
}

// todoForm parses a form for the todo that the path names.
func todoForm(handle func(w http.ResponseWriter, r *http.Request, p page.Page, id int64)) http.Handler {
	return form(func(w http.ResponseWriter, r *http.Request, p page.Page) {
		id, ok := page.ParseID(r.PathValue("id"))
		if !ok {
			web.Problem(w, http.StatusNotFound, "todos have positive numbers")
			return
		}
		handle(w, r, p, id)
	})
}

func (s *site) add(w http.ResponseWriter, r *http.Request, p page.Page) {
	p.Draft, p.Key = r.PostFormValue("title"), cmp.Or(r.PostFormValue("key"), page.NewKey())
	if err := s.backend.Add(r, p.Draft, idempotencyKey(p)); err != nil {
		var status int
		status, p.DraftError = reason(err)
		s.render(w, r, status, p)
		return
	}
	redirect(w, r, p.WithNew(), "")
}

// idempotencyKey differs for each form that was served and for each text that was typed into it.
func idempotencyKey(p page.Page) string {
	hash := sha256.Sum256([]byte(p.Key + "\n" + p.Draft))
	return hex.EncodeToString(hash[:])
}

func (s *site) edit(w http.ResponseWriter, r *http.Request, p page.Page, id int64) {
	title := r.PostFormValue("title")
	if err := s.backend.Rename(r, id, title); err != nil {
		var status int
		status, p.EditError = reason(err)
		p.Edit, p.Edited = id, title
		s.render(w, r, status, p)
		return
	}
	redirect(w, r, p.View, fmt.Sprintf("#todo-%d", id))
}

func (s *site) complete(w http.ResponseWriter, r *http.Request, p page.Page, id int64) {
	s.finish(w, r, p, fmt.Sprintf("#todo-%d", id), s.backend.Complete(r, id, r.PostFormValue("completed") != ""))
}

func (s *site) delete(w http.ResponseWriter, r *http.Request, p page.Page, id int64) {
	s.finish(w, r, p, "", s.backend.Delete(r, id))
}

func (s *site) clear(w http.ResponseWriter, r *http.Request, p page.Page) {
	s.finish(w, r, p, "", s.backend.DeleteCompleted(r))
}

// finish answers a form without text fields.
func (s *site) finish(w http.ResponseWriter, r *http.Request, p page.Page, fragment string, err error) {
	if err != nil {
		var status int
		status, p.Notice = reason(err)
		s.render(w, r, status, p)
		return
	}
	redirect(w, r, p.View, fragment)
}

// redirect sends the browser to a page, so a reload does not submit the form again.
func redirect(w http.ResponseWriter, r *http.Request, view page.View, fragment string) {
	http.Redirect(w, r, view.Address()+fragment, http.StatusSeeOther) //nolint:gosec // the page itself
}

// reason explains to the visitor why something was not done, or may not have been.
func reason(err error) (status int, text string) {
	if refusal, ok := errors.AsType[*backend.Refusal](err); ok {
		if refusal.Status == http.StatusNotFound {
			return refusal.Status, "That todo is gone: somebody deleted it."
		}
		return refusal.Status, sentence(refusal.Detail)
	}
	return http.StatusServiceUnavailable, "This could not be saved. Try again in a moment."
}

// sentence turns a problem's detail into a sentence.
func sentence(detail string) string {
	if detail == "" {
		return "This is not possible."
	}
	return strings.ToUpper(detail[:1]) + detail[1:] + "."
}

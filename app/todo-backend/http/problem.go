package http

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

const (
	retryAfter = 1 // seconds
	// KeyReused is the type of the problem that tells clients of an idempotency key which they used for another
	// todo.
	KeyReused = "urn:stateful-k3s:idempotency-key-reused"
)

// problem is what is wrong with a request.
type problem struct {
	status int
	detail string
}

func (p problem) Error() string { return p.detail }

func malformed(format string, args ...any) error {
	return problem{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// refuse answers with an error, and returns the status. It keeps two things apart: with 503 nothing was
// changed and the request can be repeated, with 504 it may have been.
func refuse(w http.ResponseWriter, r *http.Request, err error) (status int) {
	var wrong problem
	var invalid todo.Invalid
	switch {
	case errors.As(err, &wrong):
		web.Problem(w, wrong.status, wrong.detail)
		return wrong.status
	case errors.As(err, &invalid):
		web.Problem(w, http.StatusUnprocessableEntity, invalid.Error())
		return http.StatusUnprocessableEntity
	case errors.Is(err, todo.ErrKeyReused):
		web.TypedProblem(w, KeyReused, http.StatusUnprocessableEntity, err.Error())
		return http.StatusUnprocessableEntity
	case errors.Is(err, todo.ErrNone):
		web.Problem(w, http.StatusNotFound, todo.ErrNone.Error())
		return http.StatusNotFound
	}
	slog.Warn("no answer from the database", "method", r.Method, "path", r.URL.Path, "error", err, "request",
		web.RequestID(r))
	if errors.Is(err, todo.ErrUnknown) {
		web.Problem(w, http.StatusGatewayTimeout, todo.ErrUnknown.Error()+": whether it was stored is not known")
		return http.StatusGatewayTimeout
	}
	web.Unavailable(w, todo.ErrAway.Error(), retryAfter)
	return http.StatusServiceUnavailable
}

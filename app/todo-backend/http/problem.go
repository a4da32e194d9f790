package http

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

const retryAfter = 1 // seconds

// problem is an error of the client.
type problem struct {
	status int
	detail string
}

func (p problem) Error() string { return p.detail }

func malformed(format string, args ...any) error {
	return problem{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// refuse answers with an error and returns the status. After 503 nothing was changed and the client can
// repeat the request; after 504 the change may have been made.
func refuse(w http.ResponseWriter, r *http.Request, err error) (status int) {
	var wrong problem
	var invalid todo.InvalidError
	switch {
	case errors.As(err, &wrong):
		web.Problem(w, wrong.status, wrong.detail)
		return wrong.status
	case errors.As(err, &invalid):
		web.Problem(w, http.StatusUnprocessableEntity, invalid.Error())
		return http.StatusUnprocessableEntity
	case errors.Is(err, todo.ErrKeyReused):
		web.TypedProblem(w, todo.KeyReused, http.StatusUnprocessableEntity, err.Error())
		return http.StatusUnprocessableEntity
	case errors.Is(err, todo.ErrNotFound):
		web.Problem(w, http.StatusNotFound, todo.ErrNotFound.Error())
		return http.StatusNotFound
	}
	slog.Warn("the database did not answer", "method", r.Method, "path", r.URL.Path, "error", err,
		"request", web.RequestID(r))
	if errors.Is(err, todo.ErrUnknown) {
		web.Problem(w, http.StatusGatewayTimeout, todo.ErrUnknown.Error()+": whether it was stored is not known")
		return http.StatusGatewayTimeout
	}
	web.Unavailable(w, todo.ErrUnavailable.Error(), retryAfter)
	return http.StatusServiceUnavailable
}

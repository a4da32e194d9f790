package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/cenkalti/backoff/v5"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

const maxProblem = 16 << 10 // bytes

// errAlreadyAdded means that this Job has added its todo before, with another article.
var errAlreadyAdded = errors.New("already added")

// refusedError means that the backend does not accept this todo. It may accept another.
type refusedError struct{ detail string }

func (e *refusedError) Error() string { return e.detail }

// backend is a client of todo-backend. Its requests have the Job's name as the idempotency key.
type backend struct {
	client client
	url    *url.URL
	job    string
}

// add returns the path of the new todo. All calls by all pods of the Job together add one todo.
func (b backend) add(ctx context.Context, title string) (location string, err error) {
	body, err := json.Marshal(map[string]string{"title": title})
	if err != nil {
		return "", err
	}
	header := http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {b.job}}
	err = b.client.send(ctx, call{http.MethodPost, b.url.JoinPath("todos"), header, body,
		func(response *http.Response) error {
			if response.StatusCode == http.StatusCreated {
				location = response.Header.Get("Location")
				return nil
			}
			problem, err := readProblem(response)
			switch {
			case err != nil:
				return err
			case response.StatusCode == http.StatusUnprocessableEntity && problem.Type == todo.KeyReused:
				return backoff.Permanent(errAlreadyAdded)
			case response.StatusCode == http.StatusUnprocessableEntity:
				return backoff.Permanent(&refusedError{problem.Detail})
			default:
				return backoff.Permanent(fmt.Errorf("%s: %.200s; BACKEND_URL must be the address of todo-backend",
					response.Status, problem.Detail))
			}
		}})
	return location, err
}

// problem is an error of todo-backend (RFC 9457).
type problem struct{ Type, Detail string }

// readProblem takes a body that is no problem for the detail.
func readProblem(response *http.Response) (p problem, err error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxProblem))
	if err != nil {
		return p, fmt.Errorf("read the answer: %w", err)
	}
	if json.Unmarshal(body, &p) != nil || p.Detail == "" {
		p.Detail = strings.TrimSpace(string(body))
	}
	return p, nil
}

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
)

// keyReused is the type of the problem that todo-backend answers when a key comes again with another todo.
const keyReused = "urn:stateful-k3s:idempotency-key-reused"

const maxProblem = 16 << 10 // bytes

// errAddedBefore says that this Job has added its todo already, with another article.
var errAddedBefore = errors.New("added before")

// refusal says that a todo is not acceptable, so that another one may be.
type refusal struct{ detail string }

func (r *refusal) Error() string { return r.detail }

// backend is todo-backend.
type backend struct {
	client client
	url    *url.URL
	job    string
}

// add returns the new todo's address. However often it is called, also by other pods of the Job, it adds one
// todo.
func (b backend) add(ctx context.Context, title string) (todo string, err error) {
	body, err := json.Marshal(map[string]string{"title": title})
	if err != nil {
		return "", err
	}
	header := http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {b.job}}
	err = b.client.send(ctx, call{http.MethodPost, b.url.JoinPath("todos"), header, body,
		func(response *http.Response) error {
			if response.StatusCode == http.StatusCreated {
				todo = response.Header.Get("Location")
				return nil
			}
			problem, err := readProblem(response)
			switch {
			case err != nil:
				return err
			case response.StatusCode == http.StatusUnprocessableEntity && problem.Type == keyReused:
				return backoff.Permanent(errAddedBefore)
			case response.StatusCode == http.StatusUnprocessableEntity:
				return backoff.Permanent(&refusal{problem.Detail})
			default:
				return backoff.Permanent(fmt.Errorf("%s: %.200s; BACKEND_URL must be the address of todo-backend",
					response.Status, problem.Detail))
			}
		}})
	return todo, err
}

// problem is what todo-backend says of an error (RFC 9457).
type problem struct{ Type, Detail string }

// readProblem takes whatever else stands there for the detail.
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

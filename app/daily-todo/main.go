// Daily-todo adds one todo, "Read <URL>" with the address of a random article, and ends.
//
// Settings, all in the environment:
//
//	BACKEND_URL  address of todo-backend, such as http://todo-backend-svc
//	ARTICLE_URL  page that redirects to a random article (https://en.wikipedia.org/wiki/Special:Random)
//	JOB_NAME     name under which the todo is added once, however often that is tried
//	CA_FILE      PEM file with authorities to trust besides the system's, or those that come with the program (none)
//	TIMEOUT      how long all of it may take (2m); a single request may take a tenth of that
//	TERMINATION_LOG
//	             file that gets a line of JSON at the end (none)
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"unicode/utf8"

	"github.com/stateful-k3s/stateful-k3s/app/internal/outcome"
	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
)

const (
	// maxTitle is todo-backend's own limit, in code points.
	maxTitle = 140
	// maxArticles is how many articles are asked for until one makes a todo.
	maxArticles = 20
)

func main() {
	service.Main(func(ctx context.Context) error {
		said, err := run(ctx)
		if err != nil {
			outcome.Failure(err).WriteTerminationMessage()
			return err
		}
		outcome.Success(said).WriteTerminationMessage()
		return nil
	})
}

// run says what it has done.
func run(ctx context.Context) (said string, err error) {
	s, err := environment()
	if err != nil {
		return "", err
	}
	limited, cancel := context.WithTimeoutCause(ctx, s.timeout,
		fmt.Errorf("no answer within what was left of %s", s.timeout))
	defer cancel()
	c := client{transport: newTransport(s.authorities), timeout: s.timeout / 10}
	said, err = addTodo(limited, wiki{c, s.article}, backend{c, s.backend, s.job})
	if err != nil && ctx.Err() != nil {
		return "", errors.New("told to stop before the todo was added")
	}
	return said, err
}

func addTodo(ctx context.Context, wiki wiki, backend backend) (said string, err error) {
	for range maxArticles {
		article, err := wiki.random(ctx)
		if err != nil {
			return "", fmt.Errorf("find a random article: %w", err)
		}
		title := "Read " + article
		if n := utf8.RuneCountInString(title); n > maxTitle {
			slog.Info("passed over", "article", article, "because",
				fmt.Sprintf("its title would have %d characters, more than %d", n, maxTitle))
			continue
		}
		todo, err := backend.add(ctx, title)
		var refused *refusal
		switch {
		case errors.As(err, &refused):
			slog.Info("passed over", "article", article, "because", refused.detail)
			continue
		case errors.Is(err, errAddedBefore):
			slog.Info("already added", "job", backend.job)
			return "the todo was already added", nil
		case err != nil:
			return "", fmt.Errorf("add the todo %q: %w", title, err)
		}
		slog.Info("added", "title", title, "todo", todo)
		return fmt.Sprintf("added %q", title), nil
	}
	return "", fmt.Errorf("%d articles in a row make no todo: set ARTICLE_URL to a page with other articles than %s", maxArticles, wiki.url)
}

// Daily-todo adds the todo "Read URL" with the URL of a random article, and ends.
//
// Settings in the environment, with defaults in brackets:
//
//	BACKEND_URL      address of the todo backend, such as http://todo-backend-svc
//	ARTICLE_URL      page that redirects to a random article (https://en.wikipedia.org/wiki/Special:Random)
//	JOB_NAME         name under which the todo is added once, however often the Job is retried
//	CA_FILE          PEM file with authorities to trust in addition to the system's or the program's (none)
//	TIMEOUT          time for all of it (2m); a single request has a tenth
//	TERMINATION_LOG  file for a line of JSON that says how it ended (none)
package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/internal/authorities"
	"github.com/stateful-k3s/stateful-k3s/app/internal/outcome"
	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
)

// maxArticles is how many articles may make no todo before it gives up.
const maxArticles = 20

type config struct {
	backend, article *url.URL
	job              string
	authorities      *x509.CertPool
	timeout          time.Duration
}

func readConfig() (config, error) {
	var r settings.Reader
	c := config{
		backend: r.URL("BACKEND_URL", "", "http://todo-backend-svc"),
		article: r.URL("ARTICLE_URL", "https://en.wikipedia.org/wiki/Special:Random", ""),
		job:     r.Text("JOB_NAME", "", "daily-todo-1"),
		timeout: r.Duration("TIMEOUT", "2m"),
	}
	var err error
	if c.authorities, err = authorities.Load(r.Optional("CA_FILE")); err != nil {
		r.Fault("CA_FILE", "%v", err)
	}
	return c, r.Err()
}

func main() {
	service.Main(func(ctx context.Context) error {
		message, err := run(ctx)
		if err != nil {
			outcome.Failure(err).WriteTerminationMessage()
			return err
		}
		outcome.Success(message).WriteTerminationMessage()
		return nil
	})
}

// run returns a message that says what it has done.
func run(ctx context.Context) (message string, err error) {
	c, err := readConfig()
	if err != nil {
		return "", err
	}
	limited, cancel := context.WithTimeoutCause(ctx, c.timeout,
		fmt.Errorf("no answer within the rest of %s (TIMEOUT)", c.timeout))
	defer cancel()
	client := client{transport: newTransport(c.authorities), timeout: c.timeout / 10}
	message, err = addTodo(limited, wiki{client, c.article}, backend{client, c.backend, c.job})
	if err != nil && ctx.Err() != nil {
		return "", errors.New("told to stop before the todo was added")
	}
	return message, err
}

func addTodo(ctx context.Context, wiki wiki, backend backend) (message string, err error) {
	for range maxArticles {
		article, err := wiki.random(ctx)
		if err != nil {
			return "", fmt.Errorf("find a random article: %w", err)
		}
		title := "Read " + article
		todo, err := backend.add(ctx, title)
		var refused *refusedError
		switch {
		case errors.As(err, &refused):
			slog.Info("skipped", "article", article, "reason", refused.detail)
			continue
		case errors.Is(err, errAlreadyAdded):
			slog.Info("already added", "job", backend.job)
			return "the todo was already added", nil
		case err != nil:
			return "", fmt.Errorf("add the todo %q: %w", title, err)
		}
		slog.Info("added", "title", title, "todo", todo)
		return fmt.Sprintf("added %q", title), nil
	}
	return "", fmt.Errorf("the backend refused %d articles in a row: set ARTICLE_URL to another page than %s",
		maxArticles, wiki.url)
}

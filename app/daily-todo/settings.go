package main

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/internal/authorities"
)

type settings struct {
	backend, article *url.URL
	job              string
	authorities      *x509.CertPool
	timeout          time.Duration
}

// idempotencyKey is what todo-backend accepts as one.
var idempotencyKey = regexp.MustCompile(`^[ -~]{1,255}$`)

func environment() (s settings, err error) {
	if s.backend, err = address("BACKEND_URL", os.Getenv("BACKEND_URL")); err != nil {
		return s, err
	}
	s.article, err = address("ARTICLE_URL",
		cmp.Or(os.Getenv("ARTICLE_URL"), "https://en.wikipedia.org/wiki/Special:Random"))
	if err != nil {
		return s, err
	}
	if s.job = os.Getenv("JOB_NAME"); !idempotencyKey.MatchString(s.job) {
		return s, fmt.Errorf("JOB_NAME: %q is not the name of a Job, by which a repetition would be known", s.job)
	}
	if s.authorities, err = authorities.Load(os.Getenv("CA_FILE")); err != nil {
		return s, fmt.Errorf("CA_FILE: %w", err)
	}
	s.timeout, err = time.ParseDuration(cmp.Or(os.Getenv("TIMEOUT"), "2m"))
	if err != nil || s.timeout <= 0 {
		return s, fmt.Errorf("TIMEOUT: %q is not a time such as 90s", os.Getenv("TIMEOUT"))
	}
	return s, nil
}

func address(variable, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return nil, fmt.Errorf("%s: %q is not an address such as https://example.com/path", variable, text)
	}
	return u, nil
}

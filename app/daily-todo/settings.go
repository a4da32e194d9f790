package main

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"time"

	// The image has no authorities of its own.
	_ "golang.org/x/crypto/x509roots/fallback"
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
	s.article, err = address("ARTICLE_URL", cmp.Or(os.Getenv("ARTICLE_URL"), "https://en.wikipedia.org/wiki/Special:Random"))
	if err != nil {
		return s, err
	}
	if s.job = os.Getenv("JOB_NAME"); !idempotencyKey.MatchString(s.job) {
		return s, fmt.Errorf("JOB_NAME: %q is not the name of a Job, by which a repetition would be known", s.job)
	}
	if s.authorities, err = authorities(os.Getenv("CA_FILE")); err != nil {
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

// authorities are the system's, or those that come with the program if it has none, and those of a file.
func authorities(file string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil || file == "" {
		return pool, err
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New(file + " holds no certificate in PEM format")
	}
	return pool, nil
}

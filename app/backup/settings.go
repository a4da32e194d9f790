package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/stateful-k3s/stateful-k3s/app/backup/archive"
	"github.com/stateful-k3s/stateful-k3s/app/backup/s3"
	"github.com/stateful-k3s/stateful-k3s/app/internal/authorities"
)

// environment reads settings, and collects what is wrong with them.
type environment struct{ faults []error }

func (e *environment) fault(variable, format string, args ...any) {
	e.faults = append(e.faults, fmt.Errorf(variable+": "+format, args...))
}

func (e *environment) err() error { return errors.Join(e.faults...) }

func (e *environment) text(variable, fallback, example string) string {
	value := cmp.Or(os.Getenv(variable), fallback)
	if value == "" {
		e.fault(variable, "is not set; for example: %s=%s", variable, example)
	}
	return value
}

func (e *environment) number(variable string, fallback, least, most int) int {
	text := cmp.Or(os.Getenv(variable), strconv.Itoa(fallback))
	number, err := strconv.Atoi(text)
	if err != nil || number < least || number > most {
		e.fault(variable, "%q is not a number from %d to %d", text, least, most)
	}
	return number
}

func (e *environment) duration(variable, fallback string) time.Duration {
	text := cmp.Or(os.Getenv(variable), fallback)
	duration, err := time.ParseDuration(text)
	if err != nil || duration < 0 {
		e.fault(variable, "%q is not a time such as %s", text, fallback)
	}
	return duration
}

// file is the content of the file that a variable names, without the spaces around it.
func (e *environment) file(variable string) string {
	path := e.text(variable, "", "/run/secrets/store/"+strings.ToLower(variable))
	if path == "" {
		return ""
	}
	content, err := os.ReadFile(path)
	if err != nil {
		e.fault(variable, "%v", err)
	}
	return strings.TrimSpace(string(content))
}

func (e *environment) store() s3.Settings {
	s := s3.Settings{
		Region:    e.text("S3_REGION", "us-east-1", ""),
		Bucket:    e.text("S3_BUCKET", "backups", ""),
		Prefix:    strings.Trim(e.text("S3_PREFIX", "", "project"), "/"),
		AccessKey: e.file("S3_ACCESS_KEY_FILE"),
		SecretKey: e.file("S3_SECRET_KEY_FILE"),
	}
	var err error
	if s.Authorities, err = authorities.Load(os.Getenv("S3_CA_FILE")); err != nil {
		e.fault("S3_CA_FILE", "%v", err)
	}
	const example = "https://s3.example.com"
	endpoint, err := url.Parse(e.text("S3_ENDPOINT", "", example))
	if err != nil || endpoint.Host == "" || endpoint.Scheme != "https" && endpoint.Scheme != "http" || strings.Trim(endpoint.Path, "/") != "" {
		e.fault("S3_ENDPOINT", "%q is not the address of an S3 service, such as %s", os.Getenv("S3_ENDPOINT"), example)
	}
	s.Endpoint = endpoint
	if s.PathStyle, err = strconv.ParseBool(cmp.Or(os.Getenv("S3_PATH_STYLE"), "true")); err != nil {
		e.fault("S3_PATH_STYLE", "%q is neither true nor false", os.Getenv("S3_PATH_STYLE"))
	}
	return s
}

func (e *environment) retention() archive.Retention {
	const most = 10_000
	return archive.Retention{
		Daily:   e.number("KEEP_DAILY", 7, 0, most),
		Weekly:  e.number("KEEP_WEEKLY", 4, 0, most),
		Monthly: e.number("KEEP_MONTHLY", 6, 0, most),
	}
}

// recipient is whom dumps are encrypted to; nil if they are not.
func (e *environment) recipient() *age.X25519Recipient {
	text := os.Getenv("AGE_RECIPIENT")
	if text == "" {
		return nil
	}
	recipient, err := age.ParseX25519Recipient(text)
	if err != nil {
		e.fault("AGE_RECIPIENT", "%v: it is the public key that age-keygen prints, such as age1…", err)
	}
	return recipient
}

// identities are the keys that open dumps; none if there are none.
func (e *environment) identities() []age.Identity {
	if os.Getenv("AGE_IDENTITY_FILE") == "" {
		return nil
	}
	identities, err := age.ParseIdentities(strings.NewReader(e.file("AGE_IDENTITY_FILE")))
	if err != nil {
		e.fault("AGE_IDENTITY_FILE", "%v: it is the file that age-keygen writes", err)
	}
	return identities
}

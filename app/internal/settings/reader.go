// Package settings reads what apps are told in their environment.
package settings

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Reader reads settings, and collects what is wrong with them.
type Reader struct{ faults []error }

// Fault adds what is wrong with a variable.
func (r *Reader) Fault(variable, format string, args ...any) {
	r.Add(fmt.Errorf(variable+": "+format, args...))
}

// Add adds an error that names its variable itself; nil is none.
func (r *Reader) Add(err error) {
	if err != nil {
		r.faults = append(r.faults, err)
	}
}

// Err is all that is wrong with what was read so far; nil if nothing is.
func (r *Reader) Err() error { return errors.Join(r.faults...) }

// Text is a variable that has to be set, unless there is a fallback.
func (r *Reader) Text(variable, fallback, example string) string {
	value := cmp.Or(os.Getenv(variable), fallback)
	if value == "" {
		r.Fault(variable, "is not set; for example: %s=%s", variable, example)
	}
	return value
}

// Number is a whole number.
func (r *Reader) Number(variable string, fallback, least, most int) int {
	text := cmp.Or(os.Getenv(variable), strconv.Itoa(fallback))
	number, err := strconv.Atoi(text)
	if err != nil || number < least || number > most {
		r.Fault(variable, "%q is not a number from %d to %d", text, least, most)
	}
	return number
}

// Duration is a time such as 1h30m, which may be 0.
func (r *Reader) Duration(variable, fallback string) time.Duration {
	text := cmp.Or(os.Getenv(variable), fallback)
	duration, err := time.ParseDuration(text)
	if err != nil || duration < 0 {
		r.Fault(variable, "%q is not a time such as %s", text, fallback)
	}
	return duration
}

// File is the content of the file that a variable names, without the spaces around it.
func (r *Reader) File(variable string) string {
	path := r.Text(variable, "", "/run/secrets/store/"+strings.ToLower(variable))
	if path == "" {
		return ""
	}
	content, err := os.ReadFile(path)
	if err != nil {
		r.Fault(variable, "%v", err)
	}
	return strings.TrimSpace(string(content))
}

// OptionalFile is empty if the variable is not set.
func (r *Reader) OptionalFile(variable string) string {
	if os.Getenv(variable) == "" {
		return ""
	}
	return r.File(variable)
}

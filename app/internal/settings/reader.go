// Package settings reads the settings of apps from the environment. Each app has one struct, which its main
// fills at the start:
//
//	var r settings.Reader
//	c := config{ports: r.Ports(), database: r.Database()}
//	if err := r.Err(); err != nil {
//		return err // names every setting that is wrong
//	}
package settings

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Reader reads settings and collects their errors.
type Reader struct{ faults []error }

// Fault adds an error of a variable.
func (r *Reader) Fault(variable, format string, args ...any) {
	r.Add(fmt.Errorf(variable+": "+format, args...))
}

// Add adds an error that names the variable itself. It ignores nil.
func (r *Reader) Add(err error) {
	if err != nil {
		r.faults = append(r.faults, err)
	}
}

// Err returns all errors so far, or nil.
func (r *Reader) Err() error { return errors.Join(r.faults...) }

// Optional returns a variable that may be unset.
func (r *Reader) Optional(variable string) string { return os.Getenv(variable) }

// Words returns the words of a variable that may be unset.
func (r *Reader) Words(variable string) []string { return strings.Fields(os.Getenv(variable)) }

// Text returns a variable that must be set if there is no fallback.
func (r *Reader) Text(variable, fallback, example string) string {
	value := cmp.Or(os.Getenv(variable), fallback)
	if value == "" {
		r.Fault(variable, "is not set; for example: %s=%s", variable, example)
	}
	return value
}

// Number returns a whole number.
func (r *Reader) Number(variable string, fallback, least, most int) int {
	text := cmp.Or(os.Getenv(variable), strconv.Itoa(fallback))
	number, err := strconv.Atoi(text)
	if err != nil || number < least || number > most {
		r.Fault(variable, "%q is not a number from %d to %d", text, least, most)
	}
	return number
}

// Duration returns a time such as 1h30m. It may be 0.
func (r *Reader) Duration(variable, fallback string) time.Duration {
	text := cmp.Or(os.Getenv(variable), fallback)
	duration, err := time.ParseDuration(text)
	if err != nil || duration < 0 {
		r.Fault(variable, "%q is not a time such as %s", text, fallback)
	}
	return duration
}

// File returns the content of the file that a variable names, without surrounding white space.
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

// OptionalFile is File for a variable that may be unset.
func (r *Reader) OptionalFile(variable string) string {
	if os.Getenv(variable) == "" {
		return ""
	}
	return r.File(variable)
}

// URL returns the address of an HTTP service.
func (r *Reader) URL(variable, fallback, example string) *url.URL {
	text := cmp.Or(os.Getenv(variable), fallback)
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		r.Fault(variable, "%q is not an address such as %s", text, cmp.Or(example, fallback))
	}
	return u
}

// Ports are the TCP ports of an app.
type Ports struct{ App, Metrics string }

// Ports reads $PORT and $METRICS_PORT.
func (r *Reader) Ports() Ports {
	return Ports{r.Text("PORT", "8080", ""), r.Text("METRICS_PORT", "9090", "")}
}

// Database returns a function that returns the URL of a database: $URL, or the content of the file that
// $URL_FILE names. It reads the file at each call, so a changed password takes effect with the next
// connection.
func (r *Reader) Database() func() (string, error) {
	text, file := os.Getenv("URL"), os.Getenv("URL_FILE")
	return func() (string, error) {
		if text != "" {
			return text, nil
		}
		if file == "" {
			return "", errors.New("neither URL nor URL_FILE is set; for example: " +
				"URL=postgres://user:password@localhost/database")
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read URL_FILE: %w", err)
		}
		return strings.TrimSpace(string(content)), nil
	}
}

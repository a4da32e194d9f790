// Package outcome tells how a Job has ended, for people and programs: in a line of JSON, which Kubernetes
// keeps in the status of the pod.
package outcome

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"time"
)

// maxSaid is how much is said at most, in bytes. With what JSON adds that is less than the 4096 that
// Kubernetes keeps.
const maxSaid = 1800

// Outcome is how a Job's pod has ended.
type Outcome struct {
	Ended time.Time `json:"ended"`
	// OK says that the pod has done what it was to do.
	OK bool `json:"ok"`
	// Said is what it has done, or why it has not.
	Said string `json:"said"`
	// Backup is the name of the backup that it has made; empty if it has made none.
	Backup string `json:"backup,omitempty"`
}

// Success returns the outcome of work that was done, and what it did.
func Success(said string) Outcome { return Outcome{Ended: time.Now().UTC(), OK: true, Said: said} }

// Failure returns the outcome of work that failed.
func Failure(err error) Outcome { return Outcome{Ended: time.Now().UTC(), Said: err.Error()} }

// WriteTerminationMessage writes the outcome to the file that the environment variable TERMINATION_LOG names, if it names one.
func (o Outcome) WriteTerminationMessage() {
	file := os.Getenv("TERMINATION_LOG")
	if file == "" {
		return
	}
	line, err := o.line()
	if err == nil {
		err = os.WriteFile(file, line, 0o644)
	}
	if err != nil {
		slog.Warn("how this ended is not in the pod's status", "error", err)
	}
}

func (o Outcome) line() ([]byte, error) {
	if len(o.Said) > maxSaid {
		o.Said = strings.ToValidUTF8(o.Said[:maxSaid], "") + "…"
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(o)
	return line.Bytes(), err
}

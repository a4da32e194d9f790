// Package outcome reports how a Job's pod has ended: a line of JSON in its termination message, which
// Kubernetes keeps in the pod's status.
package outcome

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"time"
)

// maxMessage is in bytes. With what JSON adds it stays below the 4096 that Kubernetes keeps.
const maxMessage = 1800

// Outcome says how a Job's pod has ended.
type Outcome struct {
	Ended time.Time `json:"ended"`
	// OK says that the pod has done its work.
	OK bool `json:"ok"`
	// Said is what it has done, or why it failed.
	Said string `json:"said"`
	// Backup is the name of the backup that it made, if any.
	Backup string `json:"backup,omitempty"`
}

// Success returns the outcome of work that was done.
func Success(message string) Outcome {
	return Outcome{Ended: time.Now().UTC(), OK: true, Said: message}
}

// Failure returns the outcome of work that failed.
func Failure(err error) Outcome { return Outcome{Ended: time.Now().UTC(), Said: err.Error()} }

// WriteTerminationMessage writes the outcome to the file that $TERMINATION_LOG names, if any.
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
		slog.Warn("cannot write the termination message", "error", err)
	}
}

func (o Outcome) line() ([]byte, error) {
	if len(o.Said) > maxMessage {
		o.Said = strings.ToValidUTF8(o.Said[:maxMessage], "") + "…"
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(o)
	return line.Bytes(), err
}

// Package subprocess runs other programs for their output.
package subprocess

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// Output returns the standard output of a command. Its error includes the standard error.
func Output(cmd *exec.Cmd) ([]byte, error) {
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return out, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}

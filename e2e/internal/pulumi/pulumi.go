// Package pulumi brings the stack up, with make and with pulumi, and asks Pulumi about it.
package pulumi

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
)

// MakeUp brings the stack up as a person does. Its output must say what to do next.
func MakeUp(t *testing.T) {
	said := proc.Run(t, Make("up"))
	_, next, found := strings.Cut(said, "\nThe stack "+lab.Name()+" is up:\n")
	require.True(t, found, said)
	require.Contains(t, next, "  todos      http://"+lab.NodeAddress()+"/\n")
	require.LessOrEqual(t, strings.Count(next, "\n"), 8, "with the lines before it, 10")
}

// Make is a make command about the lab and its stack.
func Make(target string) *exec.Cmd { return lab.Make(lab.Checkout, target, lab.Name()) }

// Command is a pulumi command in the checkout.
func Command(verb string, args ...string) *exec.Cmd {
	return proc.Command(lab.Checkout, "pulumi", append([]string{verb, "--non-interactive"}, args...)...)
}

// Run runs a pulumi command in the checkout, and returns its standard output.
func Run(t *testing.T, verb string, args ...string) string {
	return proc.Run(t, Command(verb, args...))
}

// Up is an up with settings, key=value each. A key may be a path into a list. The next up takes them back.
func Up(settings ...string) *exec.Cmd {
	cmd := Command("up", "--yes", "--skip-preview", "--config-path")
	for _, setting := range settings {
		cmd.Args = append(cmd.Args, "--config", setting)
	}
	return cmd
}

// Restoring are the settings that restore a database from a restore point; with over, whatever it holds.
func Restoring(database, from string, over bool) []string {
	return []string{"databases[0].name=" + database, "databases[0].restoreFrom=" + from,
		"databases[0].restoreOver=" + strconv.FormatBool(over)}
}

// UpChangesNothing wants an up with a refresh to find nothing to do.
func UpChangesNothing(t *testing.T) {
	Run(t, "up", "--refresh", "--yes", "--skip-preview", "--expect-no-changes")
}

// Plan returns the number of resources by what the next up would do to them.
func Plan(t *testing.T, env ...string) map[string]int {
	cmd := Command("preview", "--json")
	cmd.Env = append(os.Environ(), env...)
	var preview struct{ ChangeSummary map[string]int }
	require.NoError(t, json.Unmarshal([]byte(proc.Run(t, cmd)), &preview))
	return preview.ChangeSummary
}

// Outputs are outputs of the stack. Images are repo:tag@digest by app.
type Outputs struct {
	TodoURL, PingpongURL string
	Images               map[string]string
}

// GetOutputs returns the stack's outputs.
func GetOutputs(t *testing.T) (all Outputs) {
	require.NoError(t, json.Unmarshal([]byte(Run(t, "stack", "output", "--json")), &all))
	return all
}

// Image is the repo:tag@digest of an app's image.
func Image(t *testing.T, app string) string { return GetOutputs(t).Images[app] }

// Configure makes settings of the stack until the test ends: secret ones, and others, key=value each.
func Configure(t *testing.T, secrets map[string]string, others ...string) {
	RestoreSettings(t)
	args := []string{"set-all"}
	for _, setting := range others {
		args = append(args, "--plaintext", setting)
	}
	for setting, value := range secrets {
		args = append(args, "--secret", setting+"="+value)
	}
	Run(t, "config", args...)
}

// AddDatabases makes databases of a namespace the stack's only entries until the test ends, with fields,
// name=value each, by name.
func AddDatabases(t *testing.T, namespace string, databases map[string][]string) {
	RestoreSettings(t)
	args := []string{"set-all", "--path"}
	for i, name := range slices.Sorted(maps.Keys(databases)) {
		for _, field := range append([]string{"name=" + name, "namespace=" + namespace}, databases[name]...) {
			args = append(args, "--plaintext", fmt.Sprintf("databases[%d].%s", i, field))
		}
	}
	Run(t, "config", args...)
}

// RestoreSettings puts the stack's settings back when the test ends.
func RestoreSettings(t *testing.T) {
	path := filepath.Join(lab.Checkout, "Pulumi."+lab.Name()+".yaml")
	before, err := os.ReadFile(path)
	t.Cleanup(func() {
		if err != nil {
			require.NoError(t, os.Remove(path))
		} else {
			require.NoError(t, os.WriteFile(path, before, 0o644))
		}
	})
}

// CopyCheckout copies what git would, tracked and new files, and returns the copy's directory.
func CopyCheckout(t *testing.T) string {
	dir := t.TempDir()
	proc.Run(t, proc.Command(lab.Checkout, "sh", "-ec",
		`git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from - |
			tar --extract --directory "$1"`, "sh", dir))
	return dir
}

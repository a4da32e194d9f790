package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/internal/state"
)

const (
	// checkout is the repository.
	checkout = ".."
	// labs has a folder for each lab of the machine.
	labs = "/var/lib/stateful-k3s"
)

// makeUp brings the stack up as a person does who has just opened a shell, and is told what to do next.
func makeUp(t *testing.T) {
	t.Helper()
	said := run(t, makeCommand(checkout, "up", labName()))
	_, next, found := strings.Cut(said, "\nThe stack "+labName()+" is up:\n")
	require.True(t, found, said)
	require.Contains(t, next, "  todos      http://"+os.Getenv("STATEFUL_K3S_INGRESS_ADDRESS")+"/\n")
	require.LessOrEqual(t, strings.Count(next, "\n"), 8, "with the lines before it, 10")
}

func makeCommand(dir, target, lab string) *exec.Cmd {
	return command(dir, "make", target, "LAB="+lab, "YES=1")
}

// pulumi runs a command of pulumi in a checkout and returns what it wrote to standard output.
func pulumi(t *testing.T, dir, verb string, args ...string) string {
	t.Helper()
	return run(t, command(dir, "pulumi", append([]string{verb, "--non-interactive"}, args...)...))
}

func pulumiUp(t *testing.T, dir string) {
	t.Helper()
	pulumi(t, dir, "up", "--yes", "--skip-preview")
}

// pulumiUpWith brings the stack up with settings, key=value each, which the next up takes back.
func pulumiUpWith(t *testing.T, settings ...string) {
	t.Helper()
	run(t, upWith(settings...))
}

func upWith(settings ...string) *exec.Cmd { return upOf(checkout, settings...) }

// upOf is an up of another checkout.
func upOf(dir string, settings ...string) *exec.Cmd {
	args := []string{"up", "--non-interactive", "--yes", "--skip-preview"}
	for _, setting := range settings {
		args = append(args, "--config", setting)
	}
	return command(dir, "pulumi", args...)
}

// upChangesNothing looks at the cluster too.
func upChangesNothing(t *testing.T) {
	t.Helper()
	pulumi(t, checkout, "up", "--refresh", "--yes", "--skip-preview", "--expect-no-changes")
}

// configure sets secret settings of the stack, and others, key=value each, until the test ends.
func configure(t *testing.T, secrets map[string]string, others ...string) {
	t.Helper()
	restoreSettings(t)
	args := []string{"set-all"}
	for _, setting := range others {
		args = append(args, "--plaintext", setting)
	}
	for setting, value := range secrets {
		args = append(args, "--secret", setting+"="+value)
	}
	pulumi(t, checkout, "config", args...)
}

// restoreSettings puts the stack's settings back when the test ends.
func restoreSettings(t *testing.T) {
	t.Helper()
	path := filepath.Join(checkout, "Pulumi."+labName()+".yaml")
	before, err := os.ReadFile(path)
	t.Cleanup(func() {
		if err != nil {
			require.NoError(t, os.Remove(path))
		} else {
			require.NoError(t, os.WriteFile(path, before, 0o644))
		}
	})
}

// plan is the number of resources by what the next up would do to them.
func plan(t *testing.T, env ...string) map[string]int {
	t.Helper()
	cmd := command(checkout, "pulumi", "preview", "--non-interactive", "--json")
	cmd.Env = append(os.Environ(), env...)
	var preview struct{ ChangeSummary map[string]int }
	require.NoError(t, json.Unmarshal([]byte(run(t, cmd)), &preview))
	return preview.ChangeSummary
}

// imageRef is the repo:tag@digest of an app's image.
func imageRef(t *testing.T, app string) string {
	t.Helper()
	var images map[string]string
	require.NoError(t, json.Unmarshal([]byte(pulumi(t, checkout, "stack", "output", "images", "--json")),
		&images))
	return images[app]
}

// startAndKill starts a command and kills it with all that it started, as soon as reached returns true.
func startAndKill(t *testing.T, cmd *exec.Cmd, reached func() bool) {
	t.Helper()
	c := startSession(t, cmd)
	eventually(t, func() error {
		if reached() {
			return nil
		}
		select {
		case err := <-c.ended:
			t.Fatalf("%s ended too early: %v\n%s", cmd, err, c.output.String())
		default:
		}
		return fmt.Errorf("%s did not come to where it was to be killed", cmd)
	})
	killSession(cmd.Process.Pid)
	require.Error(t, <-c.ended, "%s was done before it could be killed", cmd)
}

// startAndKillWithin starts a command and kills it with all that it started at a random moment of a time,
// unless it has succeeded before.
func startAndKillWithin(t *testing.T, random *rand.Rand, span time.Duration, cmd *exec.Cmd) {
	t.Helper()
	after := time.Duration(random.Int64N(int64(span)))
	s := startSession(t, cmd)
	select {
	case err := <-s.ended:
		require.NoError(t, err, "%s\n%s", cmd, s.output.String())
	case <-time.After(after):
		killSession(cmd.Process.Pid)
		t.Logf("%s, killed after %s: %v", cmd, after.Round(time.Millisecond), <-s.ended)
	}
}

// session is a command with all that it starts.
type session struct {
	output *bytes.Buffer
	ended  chan error
}

func startSession(t *testing.T, cmd *exec.Cmd) session {
	t.Helper()
	s := session{&bytes.Buffer{}, make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = s.output, s.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	require.NoError(t, cmd.Start())
	go func() { s.ended <- cmd.Wait() }()
	return s
}

// copyCheckout copies what git would: tracked and new files.
func copyCheckout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	list := run(t, command(checkout, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"))
	for name := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(checkout, name))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o644))
	}
	return dir
}

// edit replaces a text that stands once in a file.
func edit(t *testing.T, path, before, after string) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(content), before), "%q in %s", before, path)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(content), before, after, 1)), 0o644))
}

func command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	return cmd
}

// deployed are the stack's resources as the state has them, with their secrets in the clear.
func deployed(t *testing.T) []apitype.ResourceV3 {
	t.Helper()
	resources, err := state.Read(t.Context(), checkout)
	require.NoError(t, err)
	return resources
}

// run returns what a command wrote to standard output. If it fails, so does the test, and shows all of its
// output.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout = &stdout
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

func labName() string { return os.Getenv("STATEFUL_K3S_LAB") }

// outputs are those of the stack.
func outputs(t *testing.T) (all struct{ TodoURL, PingpongURL string }) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(pulumi(t, checkout, "stack", "output", "--json")), &all))
	return all
}

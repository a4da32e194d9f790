package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
)

func TestWrongSettingsAreToldByPreview(t *testing.T) {
	output := refused(t, pulumi.Command("preview",
		"--config", "redisMemory=64mb", "--config", "dailyTodoSchedule=61 * * * *", "--config", "redisMemry=1Gi"))
	assert.Contains(t, output, `stateful-k3s:redisMemory: "64mb" is not a Kubernetes quantity; `+
		"for example: pulumi config set redisMemory 64Mi")
	assert.Contains(t, output, `stateful-k3s:dailyTodoSchedule: "61 * * * *" is not a cron schedule of `+
		`five fields; for example: pulumi config set dailyTodoSchedule "0 * * * *"`)
	assert.Contains(t, output, `stateful-k3s:redisMemry: no such setting; did you mean redisMemory? `+
		"To remove it: pulumi config rm redisMemry")
}

func TestFaultsOfTheClusterAreToldAtOnce(t *testing.T) {
	c := newCluster(t)
	c.Kubectl("create", "namespace", "bob-exercises")
	t.Cleanup(func() { c.Kubectl("delete", "namespace", "bob-exercises") })
	c.Kubectl("create", "namespace", "bob-project")
	t.Cleanup(func() { c.Kubectl("delete", "namespace", "bob-project") })
	c.Kubectl("label", "namespace", "bob-project", "stateful-k3s/stack=organization.bob")
	output := refused(t, pulumi.Up("namePrefix=bob-", "storageClass=fast", "ingressClass=nginx"))
	assert.Contains(t, output, "the namespace bob-exercises is there, and no stack owns it: ")
	assert.Contains(t, output, "the namespace bob-project belongs to the stack organization.bob, "+
		"and this is organization."+lab.Name()+": ")
	assert.Contains(t, output, "the cluster has no storage class fast: choose one of local-path; "+
		"for example: pulumi config set storageClass local-path")
	assert.Contains(t, output, "the cluster has no ingress class nginx: choose one of traefik, none; "+
		"for example: pulumi config set ingressClass traefik")

	// In a namespace of its own, the stack takes over no object that it did not make.
	c.Kubectl("label", "namespace", "bob-exercises", "bob-project", "--overwrite",
		"stateful-k3s/stack=organization."+lab.Name())
	c.In("bob-exercises").Kubectl("create", "service", "clusterip", "redis-svc", "--tcp", "80:80")
	output = refused(t, pulumi.Command("preview", "--config", "namePrefix=bob-"))
	assert.Contains(t, output, "services redis-svc is in the namespace bob-exercises already, "+
		"and this stack did not make it: ")
}

func TestAccessThatDoesNotDoIsToldAtOnce(t *testing.T) {
	c := newCluster(t)
	c.Kubectl("create", "serviceaccount", "guest")
	t.Cleanup(func() { c.Kubectl("delete", "serviceaccount", "guest") })
	token := strings.TrimSpace(c.Kubectl("create", "token", "guest"))
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	closed, silently := "https://127.0.0.1:1", "http://"+silent.Addr().String()
	guest := "set contexts.sk3s-" + lab.Name() + ".user guest; " +
		"kubectl config set-credentials guest --token " + token
	for name, test := range map[string]struct{ change, says string }{
		"away":            {serverAt(closed), "the cluster " + closed + " does not answer: "},
		"silent":          {serverAt(silently), "the cluster " + silently + " does not answer: "},
		"unknown context": {"set current-context other", "context was not found for specified context: other"},
		"few rights":      {guest, "you lack rights in the namespaces exercises, project, storage: "},
	} {
		t.Run(name, func(t *testing.T) {
			up := pulumi.Up()
			up.Env = append(os.Environ(), "KUBECONFIG="+changedKubeconfig(t, test.change))
			assert.Contains(t, refused(t, up), test.says)
		})
	}
}

// An up that waits says what it waits for, and can be interrupted.
func TestUpSaysWhyPodsAreNotReady(t *testing.T) {
	c := newCluster(t)
	leaveSettings()
	c.Kubectl("create", "quota", "tight", "--hard", fmt.Sprintf("pods=%d", kube.PodCount[exercises]))
	t.Cleanup(func() { c.Kubectl("delete", "quota", "tight") })
	up := pulumi.Up("pingpongReplicas=3")
	stdout, err := up.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, up.Start())
	told := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if !told && strings.Contains(lines.Text(), " in exercises gets no pod: ") {
			told = true
			assert.Contains(t, lines.Text(), "exceeded quota: tight")
			require.NoError(t, up.Process.Signal(os.Interrupt))
		}
	}
	assert.Error(t, up.Wait())
	assert.True(t, told)
}

// serverAt is the change that moves the lab's cluster to another address.
func serverAt(address string) string { return "set clusters.sk3s-" + lab.Name() + ".server " + address }

// changedKubeconfig is a copy of the lab's kubeconfig after a change by kubectl config.
func changedKubeconfig(t *testing.T, change string) string {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	script := `cp "$KUBECONFIG" "$1"; KUBECONFIG=$1; kubectl config ` + change
	proc.Run(t, proc.Command(".", "sh", "-ec", script, "sh", path))
	return path
}

// refused is the output of a command that must fail, and must not hang.
func refused(t *testing.T, cmd *exec.Cmd) string {
	s := proc.Start(t, cmd)
	require.Error(t, s.Wait(t), "%s\n%s", cmd, s.Output)
	return s.Output.String()
}

// A user who sets something and removes it has the file of the repository again.
func TestSettingsThatAreRemovedLeaveNothing(t *testing.T) {
	tracked, err := os.ReadFile(filepath.Join(lab.Checkout, "Pulumi.dev.yaml"))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "Pulumi.dev.yaml")
	require.NoError(t, os.WriteFile(file, tracked, 0o644))
	pulumi.Run(t, "config", "set", "pingpongReplicas", "3", "--config-file", file)
	pulumi.Run(t, "config", "rm", "pingpongReplicas", "--config-file", file)
	left, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(tracked), string(left))
}

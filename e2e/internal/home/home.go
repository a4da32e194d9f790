// Package home works in a checkout with a lab of its own, beside the lab of the tests.
package home

import (
	"context"
	"encoding/json"
	"net"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
)

// Home is a checkout with a lab of its own.
type Home struct {
	T        *testing.T
	Dir, Lab string
}

// Make runs a make command about the lab, with variables such as NODES=3.
func (h Home) Make(target string, variables ...string) {
	proc.Run(h.T, lab.Make(h.Dir, target, h.Lab, variables...))
}

// Cluster is the lab's Kubernetes, with the stack's namespaces.
func (h Home) Cluster() *kube.Cluster {
	return kube.ConnectTo(h.T, h.Lab, kube.Exercises, kube.Project, kube.Storage)
}

// Shell runs a command in a shell of the lab, and returns what it says.
func (h Home) Shell(script string, args ...string) string {
	return proc.Run(h.T, proc.Command(h.Dir, "sh",
		append([]string{"-ec", ". .lab/" + h.Lab + "/env; " + script, "sh"}, args...)...))
}

// Set makes settings, and secret ones.
func (h Home) Set(settings, secrets map[string]string) {
	var args []string
	for key, value := range settings {
		args = append(args, "--plaintext", key+"="+value)
	}
	for key, value := range secrets {
		args = append(args, "--secret", key+"="+value)
	}
	h.Shell(`pulumi config set-all "$@"`, args...)
}

// MachineAddress is the address at which the lab's pods find this machine.
func (h Home) MachineAddress() string {
	host, _, err := net.SplitHostPort(h.Shell(`printf %s "$STATEFUL_K3S_REGISTRY"`))
	require.NoError(h.T, err)
	return host
}

// Site is the address at which people find the stack's apps.
func (h Home) Site() traffic.Site {
	parsed, err := url.Parse(strings.TrimSpace(h.Shell("pulumi stack output todoUrl")))
	require.NoError(h.T, err)
	return traffic.Site{T: h.T, Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(parsed.Host, "80"))
	}}
}

// ChangesNothingElsewhere runs each command of Pulumi on the stack while the user's kubeconfig leads to
// another lab. The command must refuse that. In the end the stack's own cluster is named as lost, and the
// stack forgets it.
func (h Home) ChangesNothingElsewhere(other string) {
	names := append(h.names(h.Lab), h.names(other)...)
	before, otherBefore, state := h.declared(h.Lab), h.declared(other), h.state()
	for _, args := range [][]string{
		{"pulumi", "preview"},
		{"pulumi", "up", "--yes", "--skip-preview"},
		{"pulumi", "up", "--yes", "--skip-preview", "--refresh"},
		{"pulumi", "refresh", "--yes", "--skip-preview"},
		{"pulumi", "destroy", "--yes", "--skip-preview"},
		{".lab/lab", "recover", "--name", h.Lab}, // the first step of make's commands
	} {
		said, err := h.elsewhere(other, args...)
		assert.Error(h.T, err, "%q: %s", args, said)
		for _, name := range names {
			assert.Contains(h.T, said, name, "%q", args)
		}
		assert.Equal(h.T, state, h.state(), "%q", args)
	}
	said, err := h.elsewhere(other, "env", "PULUMI_K8S_DELETE_UNREACHABLE=true", "pulumi", "destroy", "--yes",
		"--skip-preview")
	require.NoError(h.T, err, said)
	assert.Empty(h.T, h.state(), "what a stack knows of a lost cluster")
	assert.Equal(h.T, before, h.declared(h.Lab))
	assert.Equal(h.T, otherBefore, h.declared(other))
}

// elsewhere runs a command with the kubeconfig of another lab, and returns its output.
func (h Home) elsewhere(other string, args ...string) (string, error) {
	cmd := exec.Command("sh", append([]string{"-ec", `. .lab/"$1"/env; KUBECONFIG=$2; shift 2; exec "$@"`, "sh",
		h.Lab, lab.Kubeconfig(other)}, args...)...)
	cmd.Dir = h.Dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// resource is what a stack knows about an object.
type resource struct {
	URN             string
	Inputs, Outputs json.RawMessage
}

// state is what the stack has, with its secrets in the clear, in the order of names: an up that is refused
// may move the provider of stashes.
func (h Home) state() []resource {
	var export struct {
		Deployment struct{ Resources []resource }
	}
	require.NoError(h.T, json.Unmarshal([]byte(h.Shell("pulumi stack export --show-secrets")), &export))
	resources := export.Deployment.Resources
	slices.SortStableFunc(resources, func(a, b resource) int { return strings.Compare(a.URN, b.URN) })
	return resources
}

// kubectl runs kubectl on a lab, also another one.
func (h Home) kubectl(name string, args ...string) string {
	return h.Shell(`kubectl "$@"`, append([]string{"--kubeconfig", lab.Kubeconfig(name)}, args...)...)
}

// names are the uid and the address that messages give for a lab's cluster.
func (h Home) names(lab string) []string {
	return []string{
		h.kubectl(lab, "get", "namespace", "kube-system", "--output", "jsonpath={.metadata.uid}"),
		h.kubectl(lab, "config", "view", "--minify", "--output", "jsonpath={.clusters[0].cluster.server}"),
	}
}

// declared lists the objects in a lab that stacks declare, with the generation that each change raises.
func (h Home) declared(lab string) string {
	return h.kubectl(lab, "get", "--all-namespaces",
		"statefulset,deployment,service,secret,configmap,networkpolicy,cronjob,poddisruptionbudget,ingress",
		"--output", `jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name} `+
			`{.metadata.uid} {.metadata.generation}{"\n"}{end}`)
}

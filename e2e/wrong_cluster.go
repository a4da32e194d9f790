package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// changesNothingElsewhere runs each command of Pulumi on the stack while the user's kubeconfig leads to
// another lab, which the command must refuse. In the end the stack's own cluster is named as lost, so that
// the stack forgets it.
func (h home) changesNothingElsewhere(other string) {
	h.t.Helper()
	names := append(h.names(h.lab), h.names(other)...)
	before, otherBefore, state := h.declared(h.lab), h.declared(other), h.state()
	for _, args := range [][]string{
		{"pulumi", "preview"},
		{"pulumi", "up", "--yes", "--skip-preview"},
		{"pulumi", "up", "--yes", "--skip-preview", "--refresh"},
		{"pulumi", "refresh", "--yes", "--skip-preview"},
		{"pulumi", "destroy", "--yes", "--skip-preview"},
		{".lab/lab", "recover", "--name", h.lab}, // the first step of make's commands
	} {
		said, err := h.elsewhere(other, args...)
		assert.Error(h.t, err, "%q: %s", args, said)
		for _, name := range names {
			assert.Contains(h.t, said, name, "%q", args)
		}
		assert.Equal(h.t, state, h.state(), "%q", args)
	}
	said, err := h.elsewhere(other, "env", "PULUMI_K8S_DELETE_UNREACHABLE=true", "pulumi", "destroy", "--yes",
		"--skip-preview")
	require.NoError(h.t, err, said)
	assert.Empty(h.t, h.state(), "what a stack knows of a lost cluster")
	assert.Equal(h.t, before, h.declared(h.lab))
	assert.Equal(h.t, otherBefore, h.declared(other))
}

// elsewhere runs a command with the kubeconfig of another lab, and returns all that it says.
func (h home) elsewhere(other string, args ...string) (string, error) {
	cmd := exec.Command("sh", append([]string{"-ec", `. .lab/"$1"/env; KUBECONFIG=$2; shift 2; exec "$@"`, "sh",
		h.lab, kubeconfigOf(other)}, args...)...)
	cmd.Dir = h.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// state is what the stack has, by its names, with its secrets in the clear.
func (h home) state() map[string]string {
	h.t.Helper()
	var export struct {
		Deployment struct {
			Resources []json.RawMessage
		}
	}
	require.NoError(h.t, json.Unmarshal([]byte(h.shell("pulumi stack export --show-secrets")), &export))
	state := map[string]string{}
	for _, resource := range export.Deployment.Resources {
		var has struct {
			URN             string
			Inputs, Outputs json.RawMessage
		}
		require.NoError(h.t, json.Unmarshal(resource, &has))
		state[has.URN] = string(has.Inputs) + string(has.Outputs)
	}
	return state
}

func kubeconfigOf(lab string) string { return filepath.Join(labs, lab, "kubeconfig") }

// kubectl runs one on a lab that need not be this home's.
func (h home) kubectl(lab string, args ...string) string {
	h.t.Helper()
	return h.shell(`kubectl "$@"`, append([]string{"--kubeconfig", kubeconfigOf(lab)}, args...)...)
}

// names are those by which people are told of a lab's cluster.
func (h home) names(lab string) []string {
	h.t.Helper()
	return []string{
		h.kubectl(lab, "get", "namespace", "kube-system", "--output", "jsonpath={.metadata.uid}"),
		h.kubectl(lab, "config", "view", "--minify", "--output", "jsonpath={.clusters[0].cluster.server}"),
	}
}

// declared are the objects in a lab that stacks declare, each with what changes when it does.
func (h home) declared(lab string) string {
	h.t.Helper()
	return h.kubectl(lab, "get", "--all-namespaces",
		"statefulset,deployment,service,secret,configmap,networkpolicy,cronjob,poddisruptionbudget,ingress",
		"--output", `jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name} {.metadata.uid} {.metadata.generation}{"\n"}{end}`)
}

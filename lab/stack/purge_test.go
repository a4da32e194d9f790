package stack

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// commands puts a pulumi and a kubectl on PATH that log how they are called. The namespaces are metadata in
// JSON.
func commands(t *testing.T, namespaces ...string) (called func() string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	pulumi := `[ "$1 $2" = "stack export" ] && echo "{}" && exit
[ "$1" = about ] && echo '{"currentStack": {"fullyQualifiedName": "` + organization +
		`/stateful-k3s/dev"}}' && exit; echo "pulumi $*" >>` + log
	items := `{"items": [{"metadata": ` + strings.Join(namespaces, `}, {"metadata": `) + `}]}`
	kubectl := `echo "kubectl $*" >>` + log + `
case "$*" in
"get namespaces"*) printf %s '` + items + `' ;;
"config view"*) printf https://10.231.188.10:6443 ;;
"get crd"*) printf "$CRD" ;;
"get clusters"*) printf "$CLUSTERS" ;;
*"--namespace exercises"*)
	printf '  with data-postgres-ss-0 (1Gi)\n  with redis-data-storage-redis-stset-0 (100Mi)\n' ;;
esac`
	for name, script := range map[string]string{"pulumi": pulumi, "kubectl": kubectl} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() string {
		said, err := os.ReadFile(log)
		if !errors.Is(err, os.ErrNotExist) {
			require.NoError(t, err)
		}
		return string(said)
	}
}

// organization makes the names of stacks longer than a label.
var organization = strings.Repeat("alice", 14)

var (
	ours = `"labels": {"stateful-k3s/stack": "` + organization[:50] +
		`-1a2b3c4d"}, "annotations": {"stateful-k3s/stack": "` + organization + `.dev"}`
	theirs = `"labels": {"stateful-k3s/stack": "` + organization[:50] +
		`-5e6f7a8b"}, "annotations": {"stateful-k3s/stack": "` + organization + `.prod"}`
)

const askedForOperator = "kubectl get crd --selector stateful-k3s/installed-by --output name " +
	"--field-selector metadata.name=clusters.postgresql.cnpg.io\n"

const asked = "kubectl get namespaces --selector stateful-k3s/stack --output json\n"

func TestPurgeDeletesTheNamespacesOfTheStackAndNoOthers(t *testing.T) {
	called := commands(t, `{"name": "exercises", `+ours+`}`, `{"name": "project", `+ours+`}`,
		`{"name": "prod-project", `+theirs+`}`)
	var shown string
	require.NoError(t, Purge(t.Context(), layout.Lab{}, func(what string) bool {
		shown = what
		assert.NotContains(t, called(), "delete")
		return true
	}))
	assert.Equal(t, `in the cluster https://10.231.188.10:6443, for good:
namespace/exercises
  with data-postgres-ss-0 (1Gi)
  with redis-data-storage-redis-stset-0 (100Mi)
namespace/project
`, shown)
	assert.True(t, strings.HasPrefix(called(), asked))
	assert.True(t, strings.HasSuffix(called(),
		"pulumi destroy --yes --skip-preview --non-interactive\n"+
			"kubectl delete namespace/exercises namespace/project\n"+askedForOperator), called())
}

func TestPurgeDeletesNothingWithoutAYes(t *testing.T) {
	called := commands(t, `{"name": "exercises", `+ours+`}`)
	require.EqualError(t, Purge(t.Context(), layout.Lab{}, func(string) bool { return false }),
		"nothing was deleted")
	assert.NotContains(t, called(), "delete")
	assert.NotContains(t, called(), "destroy")
}

func TestPurgeOfNothingDoesNotAsk(t *testing.T) {
	called := commands(t, `{"name": "prod-exercises", `+theirs+`}`)
	require.NoError(t, Purge(t.Context(), layout.Lab{}, func(string) bool { t.Error("asked"); return true }))
	assert.Equal(t, asked, called())
}

func TestPurgeFindsWhatAnEarlierVersionMade(t *testing.T) {
	commands(t, `{"name": "exercises", "labels": {"stateful-k3s/stack": "alice.dev"}}`,
		`{"name": "project", "labels": {"stateful-k3s/stack": "bob.dev"}}`)
	namespaces, err := namespacesOf(t.Context(), cluster{}, "alice.dev")
	require.NoError(t, err)
	assert.Equal(t, []string{"namespace/exercises"}, namespaces)
}

// The operator goes with the last database of anybody, if a stack has installed it.
func TestPurgeDeletesAnOperatorThatNobodyNeeds(t *testing.T) {
	for left, goes := range map[string]bool{"": true, "cluster/postgres": false} {
		t.Setenv("CRD", "customresourcedefinition/"+clusterKind)
		t.Setenv("CLUSTERS", left)
		called := commands(t, `{"name": "exercises", `+ours+`}`)
		require.NoError(t, Purge(t.Context(), layout.Lab{}, func(string) bool { return true }))
		assert.Equal(t, goes, strings.HasSuffix(called(), "kubectl delete --selector stateful-k3s/installed-by "+
			"--all-namespaces service\nkubectl delete --selector stateful-k3s/installed-by "+
			"crd,clusterrole,clusterrolebinding,mutatingwebhookconfiguration,validatingwebhookconfiguration,"+
			"namespace\n"), called())
	}
}

func TestDestroyStopsTheServersThatOutliveIt(t *testing.T) {
	servers, err := serversIn([]byte(`{"deployment": {"resources": [
		{"type": "kubernetes:core/v1:Namespace", "inputs": {"metadata": {"name": "exercises"}}},
		{"type": "kubernetes:postgresql.cnpg.io/v1:Cluster",
			"inputs": {"metadata": {"namespace": "exercises", "name": "postgres"}}}]}}`))
	require.NoError(t, err)
	assert.Equal(t, []server{{"exercises", "postgres"}}, servers)
	called := commands(t)
	require.NoError(t, Hibernate(t.Context(), layout.Lab{}))
	assert.NotContains(t, called(), "kubectl", "a stack without such servers")
}

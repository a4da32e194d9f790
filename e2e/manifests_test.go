package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/internal/state"
)

// exceptions are the criticals of kube-score that stay. The objects are patterns of "kind namespace name".
var exceptions = []struct{ check, objects, why string }{
	{"container-image-pull-policy", "*",
		"images are named by their digests or versions, and a pod must start again while the registry is away"},
	{"container-security-context-user-group-id", "* redis-stset",
		"the official image's user, who owns the files on the volumes that are there"},
	{"container-security-context-user-group-id", "* postgres-ss",
		"the official image's user, who owns the files on the volumes that are there"},
	{"container-security-context-user-group-id", "*Job * backup",
		"the user of Postgres: the Job starts a server to restore the backup in"},
	{"pod-probes-identical", "StatefulSet storage storage-ss", "versitygw has one health check"},
	{"networkpolicy-targets-pod", "* *-client-egress", "for pods that users start with the label"},
}

// manifests are the Kubernetes objects of the stack, as the program declares them.
func manifests(t *testing.T) []unstructured.Unstructured {
	resources, err := state.Read(t.Context(), lab.Checkout)
	require.NoError(t, err)
	objects := state.Objects(resources)
	require.NotEmpty(t, objects)
	return objects
}

func list(t *testing.T, objects []unstructured.Unstructured) []byte {
	content, err := state.List(objects)
	require.NoError(t, err)
	return content
}

// The API server says nothing against any object, were it new.
func TestManifestsPassTheStrictDryRun(t *testing.T) {
	objects := manifests(t)
	for _, object := range objects {
		object.SetName("dry-run")
	}
	create := proc.Command(lab.Checkout, "kubectl", "create", "--dry-run=server", "--validate=strict",
		"--warnings-as-errors", "--output=name", "--filename=-")
	create.Stdin = bytes.NewReader(list(t, objects))
	assert.Len(t, strings.Fields(proc.Run(t, create)), len(objects))
}

// score is what kube-score says about an object.
type score struct {
	TypeMeta   metav1.TypeMeta   `json:"type_meta"`
	ObjectMeta metav1.ObjectMeta `json:"object_meta"`
	Checks     []struct {
		Check    struct{ ID string }
		Grade    int
		Skipped  bool
		Comments []struct{ Path, Summary string }
	}
}

const critical = 1

func TestManifestsHaveNoCriticalScore(t *testing.T) {
	judge := proc.Command(filepath.Join(lab.Checkout, "lab", "tools", "kube-score"), "go", "tool", "kube-score",
		"score",
		"--kubernetes-version=v1.35", "--disable-ignore-checks-annotations", "--output-format=json", "-")
	judge.Stdin = bytes.NewReader(list(t, manifests(t)))
	judge.Stderr = os.Stderr
	answer, err := judge.Output()
	var exit *exec.ExitError // says that there are criticals
	if !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	var scores []score
	require.NoError(t, json.Unmarshal(answer, &scores))

	used := map[string]bool{}
	for _, object := range scores {
		name := strings.Join([]string{object.TypeMeta.Kind, object.ObjectMeta.Namespace, object.ObjectMeta.Name},
			" ")
		for _, check := range object.Checks {
			if !check.Skipped && check.Grade <= critical && !excepted(t, check.Check.ID, name, used) {
				t.Errorf("%s: %s: %+v", name, check.Check.ID, check.Comments)
			}
		}
	}
	for _, exception := range exceptions {
		assert.True(t, used[exception.check+exception.objects], "the exception from %s for %s is not needed",
			exception.check, exception.objects)
	}
}

func excepted(t *testing.T, check, object string, used map[string]bool) bool {
	for _, exception := range exceptions {
		matches, err := path.Match(exception.objects, object)
		require.NoError(t, err)
		if exception.check == check && matches {
			used[exception.check+exception.objects] = true
			return true
		}
	}
	return false
}

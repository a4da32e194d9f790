package cluster

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// declareGuarded declares a namespace, a Secret and a Deployment in a cluster with objects, given as metadata
// by API path.
func declareGuarded(t *testing.T, objects map[string]map[string]any, options ...recorder.Option) error {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		object, found := objects[r.URL.Path]
		if !found {
			http.NotFound(w, r)
			return
		}
		require.Equal(t, metadataOnly, r.Header.Get("Accept"))
		require.NoError(t, json.NewEncoder(w).Encode(map[string]any{"metadata": object}))
	}))
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	require.NoError(t, err)
	_, err = recorder.Try(t, func(ctx *pulumi.Context) error {
		if err := requirements.Guard(ctx, client); err != nil {
			return err
		}
		if _, err := corev1.NewNamespace(ctx, "project",
			&corev1.NamespaceArgs{Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String("project")}}); err != nil {
			return err
		}
		meta := &metav1.ObjectMetaArgs{Namespace: pulumi.String("project"), Name: pulumi.String("todo")}
		secret := pulumi.ToSecret(pulumi.StringMap{"password": pulumi.String("c2VjcmV0")}).(pulumi.StringMapOutput)
		if _, err := corev1.NewSecret(ctx, "secret", &corev1.SecretArgs{Metadata: meta, Data: secret}); err != nil {
			return err
		}
		_, err := appsv1.NewDeployment(ctx, "deployment", &appsv1.DeploymentArgs{Metadata: meta})
		return err
	}, options...)
	return err
}

func TestNothingOfOthersIsTaken(t *testing.T) {
	const namespace, secret, deployment = "/api/v1/namespaces/project",
		"/api/v1/namespaces/project/secrets/todo", "/apis/apps/v1/namespaces/project/deployments/todo"
	managedBy := func(managers ...string) map[string]any {
		fields := []any{}
		for _, manager := range managers {
			fields = append(fields, map[string]any{"manager": manager})
		}
		return map[string]any{"managedFields": fields}
	}
	ofStack := func(owner string) map[string]any {
		return map[string]any{"name": "project", "labels": map[string]any{"stateful-k3s/stack": owner}}
	}
	for name, test := range map[string]struct {
		objects map[string]map[string]any
		message string
	}{
		"an empty cluster": {nil, ""},
		"what the stack left": {map[string]map[string]any{
			namespace: ofStack("alice.dev"), secret: managedBy("stateful-k3s"),
			deployment: managedBy("kubectl", "stateful-k3s", "k3s"),
		}, ""},
		"another stack's namespace": {map[string]map[string]any{namespace: ofStack("bob.dev")},
			"the namespace project belongs to the stack bob.dev, and this is alice.dev: "},
		"nobody's namespace": {map[string]map[string]any{namespace: {"name": "project"}},
			"the namespace project is there, and no stack owns it: "},
		"somebody's deployment": {map[string]map[string]any{namespace: ofStack("alice.dev"),
			deployment: managedBy("kubectl-create", "k3s")},
			"deployments.apps todo is in the namespace project already, and this stack did not make it: if nobody " +
				"needs it, kubectl -n project delete deployments.apps todo; or else give the stack other namespaces " +
				"with pulumi config set namePrefix alice-"},
		"somebody's secret": {map[string]map[string]any{secret: managedBy("kubectl-client-side-apply")},
			"secrets todo is in the namespace project already, and this stack did not make it: "},
	} {
		t.Run(name, func(t *testing.T) {
			for _, options := range [][]recorder.Option{nil, {recorder.Preview()}} {
				err := declareGuarded(t, test.objects, options...)
				if test.message == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, test.message)
				}
			}
		})
	}
}

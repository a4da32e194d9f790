package e2e

import (
	"os"
	"os/exec"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// changeByHand changes objects of the stack in the ways that people do, and deletes an image. The function
// that it returns wants all of it back.
func (c *cluster) changeByHand() (isBack func()) {
	c.t.Helper()
	was, image := c.changeable(), imageRef(c.t, "pingpong")
	kubectl := func(args ...string) *exec.Cmd { return command(".", "kubectl", args...) }
	edit := kubectl("-n", project, "edit", "service", "todo-backend-svc")
	edit.Env = append(os.Environ(), "KUBE_EDITOR=sed -i s/targetPort:.http/targetPort:\\ 9999/")
	for _, change := range []*exec.Cmd{
		kubectl("-n", project, "scale", "deployment", "todo-backend", "--replicas", "1"),
		kubectl("-n", project, "scale", "statefulset", "postgres-ss", "--replicas", "0"),
		kubectl("-n", exercises, "set", "resources", "deployment", "pingpong", "--limits", "memory=200Mi",
			"--requests", "cpu=1m"),
		kubectl("-n", exercises, "set", "env", "deployment", "pingpong", "PORT=8081"),
		kubectl("-n", project, "patch", "configmap", "todo-config", "--patch",
			`{"data": {"ALLOWED_ORIGINS": "https://example.com"}}`),
		kubectl("label", "namespace", project, "--overwrite", "pod-security.kubernetes.io/enforce=baseline"),
		edit,
	} {
		run(c.t, change)
	}
	require.NotEqual(c.t, was, c.changeable())
	digest, err := name.NewDigest(image)
	require.NoError(c.t, err)
	access := registryAccess(c.t)
	require.NoError(c.t, remote.Delete(digest, access...))
	return func() {
		c.t.Helper()
		assert.Equal(c.t, was, c.changeable())
		assert.Equal(c.t, image, imageRef(c.t, "pingpong"))
		_, err := remote.Head(digest, access...)
		assert.NoError(c.t, err, "the image is there again")
	}
}

// changeable is what changeByHand changes.
func (c *cluster) changeable() (all []any) {
	c.t.Helper()
	get := func(object any, err error) {
		c.t.Helper()
		require.NoError(c.t, err)
		all = append(all, object)
	}
	for _, deployment := range []struct{ namespace, name string }{{project, "todo-backend"},
		{exercises, "pingpong"}} {
		d, err := c.AppsV1().Deployments(deployment.namespace).Get(c.t.Context(), deployment.name,
			metav1.GetOptions{})
		get(d.Spec, err)
	}
	set, err := c.AppsV1().StatefulSets(project).Get(c.t.Context(), "postgres-ss", metav1.GetOptions{})
	get(set.Spec, err)
	config, err := c.CoreV1().ConfigMaps(project).Get(c.t.Context(), "todo-config", metav1.GetOptions{})
	get(config.Data, err)
	namespace, err := c.CoreV1().Namespaces().Get(c.t.Context(), project, metav1.GetOptions{})
	get(namespace.Labels, err)
	service, err := c.CoreV1().Services(project).Get(c.t.Context(), "todo-backend-svc", metav1.GetOptions{})
	get(service.Spec.Ports, err)
	return all
}

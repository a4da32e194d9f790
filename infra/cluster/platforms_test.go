package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func TestPlatformsOfNodes(t *testing.T) {
	node := func(name, system, architecture string, taints ...corev1.Taint) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Taints: taints},
			Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{OperatingSystem: system,
				Architecture: architecture}}}
	}
	client := fake.NewClientset(
		node("server", "linux", "amd64"),
		node("pi", "linux", "arm64", corev1.Taint{Key: "node.kubernetes.io/not-ready", Effect: "NoExecute"}),
		node("gpu", "linux", "ppc64le", corev1.Taint{Key: "nvidia.com/gpu", Effect: "NoSchedule"}),
		node("office", "windows", "amd64"),
	)
	found, err := platforms(t.Context(), client)
	require.NoError(t, err)
	require.Equal(t, Platforms{"linux/amd64": "server", "linux/arm64": "pi"}, found)
	require.Equal(t, []string{"linux/amd64", "linux/arm64"}, found.Names())
	require.NoError(t, found.Without("the image", found.Names()))
	require.EqualError(t, found.Without("the image", []string{"linux/amd64"}),
		"the node pi is linux/arm64, and the image is for linux/amd64: its pods could not run there")

	client.PrependReactor("list", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, "", nil)
	})
	found, err = platforms(t.Context(), client)
	require.NoError(t, err)
	require.Empty(t, found)
}

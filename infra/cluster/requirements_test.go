package cluster

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	discovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

var requirements = Requirements{
	Owner: "alice.dev", Namespaces: []string{"exercises", "project"}, StorageClass: "local-path",
	DNSServers: kube.ClusterDNS,
	Ingress:    &kube.Ingress{Class: "traefik", Namespace: "kube-system"},
}

func namespace(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

func storageClass(name string) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func ingressClass(name string) *networkingv1.IngressClass {
	return &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// systemPod returns a pod in kube-system with a label.
func systemPod(name, key, value string, onHost bool) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "kube-system", Labels: map[string]string{key: value}},
		Spec:       corev1.PodSpec{HostNetwork: onHost},
		Status:     corev1.PodStatus{HostIP: "10.0.0.4"},
	}
}

// newCluster returns a cluster with DNS and objects. Its user has every right unless refused returns true for
// it.
func newCluster(refused func(authorizationv1.ResourceAttributes) bool,
	objects ...runtime.Object) *fake.Clientset {
	client := fake.NewClientset(append(objects, systemPod("coredns", "k8s-app", "kube-dns", false))...)
	client.Discovery().(*discovery.FakeDiscovery).FakedServerVersion = &version.Info{GitVersion: "v1.29.0+k3s1"}
	client.PrependReactor("create", "selfsubjectaccessreviews",
		func(action clienttesting.Action) (bool, runtime.Object, error) {
			review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview)
			review.Status.Allowed = refused == nil || !refused(*review.Spec.ResourceAttributes)
			return true, review, nil
		})
	return client
}

func TestAClusterThatCanTakeTheStack(t *testing.T) {
	ours := namespace("exercises", map[string]string{"stateful-k3s/stack": "alice.dev"})
	require.NoError(t, requirements.Check(t.Context(),
		newCluster(nil, ours, storageClass("local-path"), ingressClass("traefik")), nil))
}

// Only namespaces of databases that users have added may be theirs.
func TestNamespacesOfTheUserAreShared(t *testing.T) {
	shared := requirements
	shared.Namespaces = []string{"exercises", "apps", "new", "ours"}
	shared.Shareable = shared.Namespaces[1:]
	client := newCluster(nil, namespace("apps", map[string]string{"team": "web"}), storageClass("local-path"),
		namespace("ours", map[string]string{"stateful-k3s/stack": "alice.dev"}), ingressClass("traefik"))
	require.NoError(t, shared.Check(t.Context(), client, nil))
	found, err := shared.shared(t.Context(), client)
	require.NoError(t, err)
	require.Equal(t, []string{"apps"}, found)
	shared.Owner = "bob.dev"
	err = shared.Check(t.Context(), client, nil)
	require.ErrorContains(t, err, "the namespace ours belongs to the stack alice.dev")
}

func TestARenamedStackKeepsItsNamespaces(t *testing.T) {
	renamed := requirements
	renamed.Owner, renamed.LastOwner = "alice.prod", "alice.dev"
	theirs := namespace("exercises", map[string]string{"stateful-k3s/stack": "alice.dev"})
	require.NoError(t, renamed.Check(t.Context(),
		newCluster(nil, theirs, storageClass("local-path"), ingressClass("traefik")), nil))
}

func TestFaultsOfTheCluster(t *testing.T) {
	full := []runtime.Object{storageClass("local-path"), ingressClass("traefik")}
	for name, test := range map[string]struct {
		objects []runtime.Object
		message string
	}{
		"a namespace of another stack": {append(full,
			namespace("project", map[string]string{"stateful-k3s/stack": "bob.dev"})),
			"the namespace project belongs to the stack bob.dev, and this is alice.dev: give this one namespaces of " +
				"its own with pulumi config set namePrefix alice-; if that stack is gone, or has become this one, take " +
				"it over with kubectl label --overwrite namespace project stateful-k3s/stack=alice.dev"},
		"a namespace of nobody": {append(full, namespace("project", nil)),
			"the namespace project is there, and no stack owns it: have others with pulumi config set namePrefix " +
				"alice-; or, if nobody needs what is in it, give it to this stack with kubectl label --overwrite " +
				"namespace project stateful-k3s/stack=alice.dev"},
		"another storage class": {[]runtime.Object{storageClass("standard"), storageClass("fast"),
			ingressClass("traefik")},
			"the cluster has no storage class local-path: choose one of fast, standard; for example: pulumi config " +
				"set storageClass fast"},
		"no storage class": {[]runtime.Object{ingressClass("traefik")},
			"the cluster has no storage class at all, and so not local-path: install one"},
		"another ingress class": {[]runtime.Object{storageClass("local-path"), ingressClass("nginx")},
			"the cluster has no ingress class traefik: choose one of nginx, none; for example: pulumi config set " +
				"ingressClass nginx"},
		"no ingress class": {[]runtime.Object{storageClass("local-path")},
			"the cluster has no ingress class traefik: choose one of none; for example: pulumi config set " +
				"ingressClass none"},
		"two faults": {[]runtime.Object{storageClass("fast"), namespace("exercises", nil), ingressClass("traefik")},
			"the namespace exercises is there, and no stack owns it: have others with pulumi config set namePrefix " +
				"alice-; or, if nobody needs what is in it, give it to this stack with kubectl label --overwrite " +
				"namespace exercises stateful-k3s/stack=alice.dev\n" +
				"the cluster has no storage class local-path: choose one of fast; for example: pulumi config set " +
				"storageClass fast"},
	} {
		t.Run(name, func(t *testing.T) {
			require.EqualError(t, requirements.Check(t.Context(), newCluster(nil, test.objects...), nil), test.message)
		})
	}
}

func TestAnOlderKubernetes(t *testing.T) {
	client := newCluster(nil, storageClass("local-path"), ingressClass("traefik"))
	client.Discovery().(*discovery.FakeDiscovery).FakedServerVersion = &version.Info{GitVersion: "v1.28.15+k3s1"}
	require.EqualError(t, requirements.Check(t.Context(), client, nil),
		"the cluster runs Kubernetes 1.28.15, and the stack needs 1.29 or newer: upgrade the cluster, or "+
			"select another one with kubectl config use-context")
}

func TestAStackWithoutAnIngressNeedsNoClass(t *testing.T) {
	requirements := requirements
	requirements.Ingress = nil
	require.NoError(t, requirements.Check(t.Context(), newCluster(nil, storageClass("local-path")), nil))
}

func TestFewRights(t *testing.T) {
	client := newCluster(func(asked authorizationv1.ResourceAttributes) bool {
		return asked.Resource == "namespaces" && asked.Verb != "get" || asked.Resource == "secrets" &&
			asked.Namespace == "project" || asked.Resource == "cronjobs" && asked.Verb == "delete"
	}, storageClass("local-path"), ingressClass("traefik"))
	require.EqualError(t, requirements.Check(t.Context(), client, nil),
		"you lack rights in the namespaces exercises, project: to create, delete, get, patch, watch: secrets; to "+
			"create, patch: namespaces; to delete: cronjobs.batch; ask the cluster's administrator for them (kubectl "+
			"auth whoami says who you are), or select another context with kubectl config use-context")
}

// Users who may not list cluster-wide objects can deploy, if they may do that.
func TestChecksThatTheUserMayNotMakeAreSkipped(t *testing.T) {
	client := newCluster(nil)
	client.PrependReactor("*", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		global := slices.Contains([]string{"namespaces", "storageclasses", "ingressclasses", "pods"},
			action.GetResource().Resource)
		return global, nil, apierrors.NewForbidden(schema.GroupResource{Resource: action.GetResource().Resource},
			"", nil)
	})
	require.NoError(t, requirements.Check(t.Context(), client, nil))
}

func TestAClusterThatEndsTheConversation(t *testing.T) {
	client := newCluster(nil)
	client.PrependReactor("*", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewUnauthorized("no")
	})
	err := requirements.Check(t.Context(), client, nil)
	for _, what := range []string{
		"asking the cluster what you may do: no; kubectl auth whoami says who you are",
		"asking the cluster for the namespace exercises: no",
		"asking the cluster for its storage classes: no",
		"asking the cluster for its ingress classes: no",
		"asking the cluster for its pods in kube-system: no",
	} {
		require.Contains(t, strings.Split(err.Error(), "\n"), what)
	}
}

// Package kubetest has what tests of several components need: what containers and connections should come out
// as, in Kubernetes' own types, and a database and a storage server to depend on.
package kubetest

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/postgres"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

// Resources are requests of CPU and memory, and their limits; that of memory is what is requested. The disk
// is for the log.
func Resources(cpu, cpuLimit, memory string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory),
			"ephemeral-storage": resource.MustParse("64Mi")},
		Limits: corev1.ResourceList{"cpu": resource.MustParse(cpuLimit), "memory": resource.MustParse(memory),
			"ephemeral-storage": resource.MustParse("512Mi")},
	}
}

// Hardened is the security context of a container that runs as a user and its group.
func Hardened(id int64) *corev1.SecurityContext {
	return &corev1.SecurityContext{
		RunAsUser: &id, RunAsGroup: &id, RunAsNonRoot: ptr.To(true),
		AllowPrivilegeEscalation: ptr.To(false),
		ReadOnlyRootFilesystem:   ptr.To(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

// Label selects pods by one label.
func Label(name, value string) metav1.LabelSelector {
	return metav1.LabelSelector{MatchLabels: map[string]string{name: value}}
}

// RequireConnection wants both halves of a connection between pods of one namespace: the policies NAME-egress
// and NAME-ingress.
func RequireConnection(t *testing.T, recording *recorder.Recording, name, namespace string, from,
	to metav1.LabelSelector, port int32) {
	t.Helper()
	RequireConnectionInto(t, recording, name, namespace, namespace, from, to, port)
}

// RequireConnectionInto wants both halves of a connection from pods of one namespace to pods of another.
func RequireConnectionInto(t *testing.T, recording *recorder.Recording, name, fromNamespace,
	toNamespace string, from, to metav1.LabelSelector, port int32) {
	t.Helper()
	named := func(namespace string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace}}
	}
	ports := []networkingv1.NetworkPolicyPort{{Protocol: ptr.To(corev1.ProtocolTCP),
		Port: ptr.To(intstr.FromInt32(port))}}
	out := recorder.Object[*networkingv1.NetworkPolicy](recording, name+"-egress")
	require.Equal(t, fromNamespace, out.Namespace, name)
	egress := out.Spec
	require.Equal(t, from, egress.PodSelector, name)
	require.Equal(t, []networkingv1.NetworkPolicyEgressRule{{
		To:    []networkingv1.NetworkPolicyPeer{{NamespaceSelector: named(toNamespace), PodSelector: &to}},
		Ports: ports,
	}}, egress.Egress, name)
	in := recorder.Object[*networkingv1.NetworkPolicy](recording, name+"-ingress")
	require.Equal(t, toNamespace, in.Namespace, name)
	ingress := in.Spec
	require.Equal(t, to, ingress.PodSelector, name)
	require.Equal(t, []networkingv1.NetworkPolicyIngressRule{{
		From:  []networkingv1.NetworkPolicyPeer{{NamespaceSelector: named(fromNamespace), PodSelector: &from}},
		Ports: ports,
	}}, ingress.Ingress, name)
}

// NewDatabase declares a namespace and in it the Postgres "db", with a database for the app of that name.
func NewDatabase(ctx *pulumi.Context, namespace, app string) (*kube.Namespace, postgres.Database, error) {
	ns, err := kube.NewNamespace(ctx, namespace, kube.NamespaceArgs{Name: "alice-" + namespace})
	if err != nil {
		return nil, postgres.Database{}, err
	}
	db, err := postgres.New(ctx, "db", postgres.Args{
		Namespace:       ns,
		Image:           pulumi.String("postgres:17"),
		ExporterImage:   pulumi.String("exporter"),
		Database:        app,
		Password:        pulumi.String("correct-horse"),
		PasswordVersion: "1",
		TLSVersion:      "1",
		StorageClass:    "local-path",
		StorageSize:     "1Gi",
		Memory:          "512Mi",
	})
	if err != nil {
		return nil, postgres.Database{}, err
	}
	return ns, db.Database, nil
}

// NewStorage declares a namespace and in it the storage server "store", with an account.
func NewStorage(ctx *pulumi.Context, account string) (*storage.Storage, error) {
	ns, err := kube.NewNamespace(ctx, "storage", kube.NamespaceArgs{Name: "alice-storage"})
	if err != nil {
		return nil, err
	}
	return storage.New(ctx, "store", storage.Args{
		Namespace:    ns,
		Image:        pulumi.String("storage"),
		Accounts:     []string{account},
		KeysVersion:  "1",
		TLSVersion:   "1",
		StorageClass: "local-path",
		StorageSize:  "5Gi",
		Memory:       "128Mi",
	})
}

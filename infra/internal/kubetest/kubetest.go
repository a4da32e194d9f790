// Package kubetest has what containers and connections of the stack should come out as, in Kubernetes' own types.
package kubetest

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// Resources are requests of CPU and memory, and their limits; that of memory is what is requested.
func Resources(cpu, cpuLimit, memory string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory)},
		Limits:   corev1.ResourceList{"cpu": resource.MustParse(cpuLimit), "memory": resource.MustParse(memory)},
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

// RequireConnection wants both halves of a connection between pods of one namespace: the policies NAME-egress and NAME-ingress.
func RequireConnection(t *testing.T, recording *recorder.Recording, name, namespace string, from, to metav1.LabelSelector, port int32) {
	t.Helper()
	here := &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace}}
	ports := []networkingv1.NetworkPolicyPort{{Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To(intstr.FromInt32(port))}}
	egress := recorder.Object[*networkingv1.NetworkPolicy](recording, name+"-egress").Spec
	require.Equal(t, from, egress.PodSelector, name)
	require.Equal(t, []networkingv1.NetworkPolicyEgressRule{{
		To: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: here, PodSelector: &to}}, Ports: ports,
	}}, egress.Egress, name)
	ingress := recorder.Object[*networkingv1.NetworkPolicy](recording, name+"-ingress").Spec
	require.Equal(t, to, ingress.PodSelector, name)
	require.Equal(t, []networkingv1.NetworkPolicyIngressRule{{
		From: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: here, PodSelector: &from}}, Ports: ports,
	}}, ingress.Ingress, name)
}

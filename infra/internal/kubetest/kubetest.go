// Package kubetest has what every container of the stack should come out as, in Kubernetes' own types.
package kubetest

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
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

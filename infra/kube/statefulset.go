package kube

import (
	"fmt"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// StatefulSet describes pods with a volume each.
type StatefulSet struct {
	Namespace *Namespace
	// Service names the headless Service, which is declared separately.
	Name, Service string
	Replicas      int
	// Annotations are of the StatefulSet, not of its pods.
	Annotations map[string]string
	// Pod has the labels that select the pods.
	Pod Pod
	// Claim is the template of the volumes' claims.
	Claim corev1.PersistentVolumeClaimTypeArgs
}

// ClaimNames are the names of the claims that Kubernetes makes from the template of a StatefulSet.
func ClaimNames(template, statefulSet string, replicas int) (names []string) {
	for i := range replicas {
		names = append(names, fmt.Sprintf("%s-%s-%d", template, statefulSet, i))
	}
	return names
}

// sizePath is the size in the template of the claims.
const sizePath = "spec.volumeClaimTemplates[0].spec.resources.requests.storage"

// Declare declares the StatefulSet. Its claims outlive it, and another StatefulSet of its name uses them
// again. A new size in Claim does not replace it, and is for new claims of another StatefulSet: claims that
// are there grow by themselves.
func (s StatefulSet) Declare(ctx *pulumi.Context, name string,
	opts ...pulumi.ResourceOption) (*appsv1.StatefulSet, error) {
	pods := Pods{Namespace: s.Namespace, Labels: s.Pod.Labels}
	if err := declareBudget(ctx, name+"-budget", s.Pod.App, s.Name, pods, opts...); err != nil {
		return nil, err
	}
	pod := s.Pod
	if s.Replicas > 1 {
		pod.Spec.TopologySpreadConstraints = pods.spread()
	}
	meta := s.Namespace.Meta(s.Pod.App, s.Name, nil)
	for key, value := range s.Annotations {
		Annotate(meta, key, value)
	}
	declared, err := appsv1.NewStatefulSet(ctx, name, &appsv1.StatefulSetArgs{
		Metadata: meta,
		Spec: appsv1.StatefulSetSpecArgs{
			ServiceName: pulumi.String(s.Service),
			Replicas:    pulumi.Int(s.Replicas),
			// The pods do not need each other, and in order, a broken pod would block the rollout of its own fix.
			PodManagementPolicy:  pulumi.String("Parallel"),
			UpdateStrategy:       s.updateStrategy(),
			Selector:             pods.selector(),
			Template:             pod.Template(s.Namespace),
			VolumeClaimTemplates: corev1.PersistentVolumeClaimTypeArray{s.Claim},
			PersistentVolumeClaimRetentionPolicy: appsv1.StatefulSetPersistentVolumeClaimRetentionPolicyArgs{
				WhenDeleted: pulumi.String("Retain"),
				WhenScaled:  pulumi.String("Retain"),
			},
		},
	}, append(opts, s.Namespace.Ready(), pulumi.IgnoreChanges([]string{sizePath}))...)
	if err != nil {
		return nil, fmt.Errorf("declaring stateful set %s: %w", s.Name, err)
	}
	return declared, nil
}

// updateStrategy replaces one pod after the other. From Kubernetes 1.35 a pod that is not ready counts as
// unavailable: with the default of one, a single broken pod would never be replaced by its fix. So it may be
// two.
func (s StatefulSet) updateStrategy() appsv1.StatefulSetUpdateStrategyArgs {
	strategy := appsv1.StatefulSetUpdateStrategyArgs{Type: pulumi.String("RollingUpdate")}
	if s.Replicas == 1 {
		strategy.RollingUpdate = appsv1.RollingUpdateStatefulSetStrategyArgs{MaxUnavailable: pulumi.Int(2)}
	}
	return strategy
}

package kube

import (
	"fmt"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// StatefulSet describes pods that keep their data on a volume each.
type StatefulSet struct {
	Namespace *Namespace
	// Name is that of the StatefulSet, Service that of its headless Service, which is declared apart.
	Name, Service string
	Replicas      int
	// Pod's labels select the pods.
	Pod Pod
	// Claim is the template of each pod's volume.
	Claim corev1.PersistentVolumeClaimTypeArgs
}

// Declare declares the pods. Their claims stay when the StatefulSet goes, and the next one of its name takes
// them up.
func (s StatefulSet) Declare(ctx *pulumi.Context, name string,
	opts ...pulumi.ResourceOption) (*appsv1.StatefulSet, error) {
	pods := Pods{Namespace: s.Namespace, Labels: s.Pod.Labels}
	if err := declareBudget(ctx, name+"-budget", s.Pod.App, s.Name, pods, opts...); err != nil {
		return nil, err
	}
	declared, err := appsv1.NewStatefulSet(ctx, name, &appsv1.StatefulSetArgs{
		Metadata: s.Namespace.Meta(s.Pod.App, s.Name, nil),
		Spec: appsv1.StatefulSetSpecArgs{
			ServiceName: pulumi.String(s.Service),
			Replicas:    pulumi.Int(s.Replicas),
			// The pods do not need each other, and in order, one broken pod would keep its own fix from rolling out.
			PodManagementPolicy:  pulumi.String("Parallel"),
			UpdateStrategy:       s.updates(),
			Selector:             pods.selector(),
			Template:             s.Pod.Template(s.Namespace),
			VolumeClaimTemplates: corev1.PersistentVolumeClaimTypeArray{s.Claim},
			PersistentVolumeClaimRetentionPolicy: appsv1.StatefulSetPersistentVolumeClaimRetentionPolicyArgs{
				WhenDeleted: pulumi.String("Retain"),
				WhenScaled:  pulumi.String("Retain"),
			},
		},
	}, append(opts, s.Namespace.Ready())...)
	if err != nil {
		return nil, fmt.Errorf("declaring stateful set %s: %w", s.Name, err)
	}
	return declared, nil
}

// updates replaces one pod after the other. From Kubernetes 1.35 a pod that is not ready counts as the one
// that may be away, and would never be replaced by its own correction: so a single pod may be away twice.
func (s StatefulSet) updates() appsv1.StatefulSetUpdateStrategyArgs {
	strategy := appsv1.StatefulSetUpdateStrategyArgs{Type: pulumi.String("RollingUpdate")}
	if s.Replicas == 1 {
		strategy.RollingUpdate = appsv1.RollingUpdateStatefulSetStrategyArgs{MaxUnavailable: pulumi.Int(2)}
	}
	return strategy
}

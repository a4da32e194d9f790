package kube

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// lostAfter is how long pods without volumes stay on a node that nobody hears of. Kubernetes' default is five
// minutes. It adds to the time, about 50 seconds by default, until the node counts as lost.
const lostAfter = 30 // seconds

// spread makes the scheduler prefer different nodes for the pods. One node still takes all of them.
func (p Pods) spread() corev1.TopologySpreadConstraintArray {
	return corev1.TopologySpreadConstraintArray{corev1.TopologySpreadConstraintArgs{
		TopologyKey:       pulumi.String("kubernetes.io/hostname"),
		MaxSkew:           pulumi.Int(1),
		WhenUnsatisfiable: pulumi.String("ScheduleAnyway"),
		LabelSelector:     p.selector(),
	}}
}

// leaveLostNodes replaces the pods of a lost node soon. It would not help a StatefulSet: its pod, and mostly
// its volume, belong to the node until that is back or somebody says that it never will be.
func leaveLostNodes() corev1.TolerationArray {
	var all corev1.TolerationArray
	for _, state := range []string{"not-ready", "unreachable"} {
		all = append(all, corev1.TolerationArgs{
			Key:               pulumi.String("node.kubernetes.io/" + state),
			Operator:          pulumi.String("Exists"),
			Effect:            pulumi.String("NoExecute"),
			TolerationSeconds: pulumi.Int(lostAfter),
		})
	}
	return all
}

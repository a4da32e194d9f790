package kube

import (
	"fmt"

	policyv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/policy/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// declareBudget has nodes drained so that no two of the pods are away at once. It has the name of what runs
// them.
func declareBudget(ctx *pulumi.Context, name, app, of string, pods Pods,
	opts ...pulumi.ResourceOption) error {
	_, err := policyv1.NewPodDisruptionBudget(ctx, name, &policyv1.PodDisruptionBudgetArgs{
		Metadata: pods.Namespace.Meta(app, of, nil),
		Spec:     policyv1.PodDisruptionBudgetSpecArgs{MaxUnavailable: pulumi.Int(1), Selector: pods.selector()},
	}, append(opts, pods.Namespace.Ready())...)
	if err != nil {
		return fmt.Errorf("declaring pod disruption budget %s: %w", of, err)
	}
	return nil
}

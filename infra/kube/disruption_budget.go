package kube

import (
	"fmt"

	policyv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/policy/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// declareBudget makes a drain of nodes evict the pods one after the other. The budget has the name of their
// workload, a Deployment or StatefulSet.
func declareBudget(ctx *pulumi.Context, name, app, workload string, pods Pods,
	opts ...pulumi.ResourceOption) error {
	_, err := policyv1.NewPodDisruptionBudget(ctx, name, &policyv1.PodDisruptionBudgetArgs{
		Metadata: pods.Namespace.Meta(app, workload, nil),
		Spec:     policyv1.PodDisruptionBudgetSpecArgs{MaxUnavailable: pulumi.Int(1), Selector: pods.selector()},
	}, append(opts, pods.Namespace.Ready())...)
	if err != nil {
		return fmt.Errorf("declaring pod disruption budget %s: %w", workload, err)
	}
	return nil
}

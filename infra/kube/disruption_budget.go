package kube

import (
	"fmt"

	policyv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/policy/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// declareBudget makes a drain of nodes evict the pods one after the other. It blocks no drain for good: the
// only pod of a workload may be evicted, and one that is not ready in any case, because waiting for a broken
// pod would be waiting for ever. The budget has the name of the workload, a Deployment or StatefulSet.
func declareBudget(ctx *pulumi.Context, name, app, workload string, pods Pods,
	opts ...pulumi.ResourceOption) error {
	_, err := policyv1.NewPodDisruptionBudget(ctx, name, &policyv1.PodDisruptionBudgetArgs{
		Metadata: pods.Namespace.Meta(app, workload, nil),
		Spec: policyv1.PodDisruptionBudgetSpecArgs{
			MaxUnavailable:             pulumi.Int(1),
			UnhealthyPodEvictionPolicy: pulumi.String("AlwaysAllow"),
			Selector:                   pods.selector(),
		},
	}, append(opts, pods.Namespace.Ready())...)
	if err != nil {
		return fmt.Errorf("declaring pod disruption budget %s: %w", workload, err)
	}
	return nil
}

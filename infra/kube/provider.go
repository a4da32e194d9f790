package kube

import (
	"fmt"
	"os"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// NewProvider declares how Pulumi reaches the cluster: by a kubeconfig, or nil for the one that the state
// has.
func NewProvider(ctx *pulumi.Context, name string, kubeconfig pulumi.StringInput,
	opts ...pulumi.ResourceOption) (*kubernetes.Provider, error) {
	if kubeconfig == nil {
		kubeconfig = pulumi.String("")
		opts = append(opts, pulumi.IgnoreChanges([]string{"kubeconfig"}))
	}
	// The SDK would write them into the state, where they would have every later command forget what it cannot
	// reach.
	for _, variable := range []string{"PULUMI_K8S_DELETE_UNREACHABLE", "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE"} {
		if err := os.Unsetenv(variable); err != nil {
			return nil, fmt.Errorf("declaring provider %s: %w", name, err)
		}
	}
	provider, err := kubernetes.NewProvider(ctx, name, &kubernetes.ProviderArgs{
		Kubeconfig: kubeconfig,
		// Constant, so that neither a changed kubeconfig nor a renamed stack replaces everything in the cluster.
		ClusterIdentifier: pulumi.String(project),
		// Objects of fixed names change in place, so that what depends on them is not replaced with them.
		EnableConfigMapMutable: pulumi.Bool(true),
		EnableSecretMutable:    pulumi.Bool(true),
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("declaring provider %s: %w", name, err)
	}
	return provider, nil
}

package kube

import (
	"fmt"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// NewProvider declares the cluster that $KUBECONFIG, or else ~/.kube/config, points to.
func NewProvider(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (*kubernetes.Provider, error) {
	provider, err := kubernetes.NewProvider(ctx, name, &kubernetes.ProviderArgs{
		// Empty, the plugin itself looks the file up; left out, the SDK would write its path into the state.
		Kubeconfig: pulumi.String(""),
		// A changed kubeconfig must not replace everything in the cluster.
		ClusterIdentifier: pulumi.String(owner(ctx)),
		// Objects of fixed names change in place, so that what depends on them is not replaced with them.
		EnableConfigMapMutable: pulumi.Bool(true),
		EnableSecretMutable:    pulumi.Bool(true),
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("declaring provider %s: %w", name, err)
	}
	return provider, nil
}

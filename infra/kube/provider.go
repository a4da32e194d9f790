package kube

import (
	"fmt"
	"os"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// NewProvider declares the provider for the cluster of a kubeconfig, its path or its text. With nil it is the
// cluster of $KUBECONFIG, or of ~/.kube/config.
func NewProvider(ctx *pulumi.Context, name string, kubeconfig pulumi.StringInput,
	opts ...pulumi.ResourceOption) (*kubernetes.Provider, error) {
	// The SDK would write them into the state, and every later command would forget what it cannot reach.
	for _, variable := range []string{"PULUMI_K8S_DELETE_UNREACHABLE", "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE"} {
		if err := os.Unsetenv(variable); err != nil {
			return nil, fmt.Errorf("declaring provider %s: %w", name, err)
		}
	}
	args := &kubernetes.ProviderArgs{
		// A constant: a changed kubeconfig or a renamed stack must not replace everything in the cluster.
		ClusterIdentifier: pulumi.String(project),
		// They have fixed names. Changed in place, they do not replace what depends on them.
		EnableConfigMapMutable: pulumi.Bool(true),
		EnableSecretMutable:    pulumi.Bool(true),
	}
	if kubeconfig != nil {
		args.Kubeconfig = kubeconfig
	}
	provider, err := kubernetes.NewProvider(ctx, name, args, opts...)
	if err != nil {
		return nil, fmt.Errorf("declaring provider %s: %w", name, err)
	}
	return provider, nil
}

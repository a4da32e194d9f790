package kube_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

func TestProviderIsTheSameOnEveryMachine(t *testing.T) {
	t.Setenv("KUBECONFIG", "/home/alice/.kube/config")
	t.Setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
	t.Setenv("PULUMI_K8S_SKIP_UPDATE_UNREACHABLE", "true")
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		_, err := kube.NewProvider(ctx, "k3s", pulumi.String("its kubeconfig"))
		return err
	})
	inputs := recording.Get(t, "pulumi:providers:kubernetes", "k3s").Inputs
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{
		"kubeconfig":             "its kubeconfig",
		"clusterIdentifier":      "stateful-k3s",
		"enableConfigMapMutable": true,
		"enableSecretMutable":    true,
	}), inputs)
}

func TestAProviderOfTheUsersOwnKubeconfig(t *testing.T) {
	t.Setenv("KUBECONFIG", "/home/alice/.kube/config")
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		_, err := kube.NewProvider(ctx, "k3s", nil)
		return err
	})
	inputs := recording.Get(t, "pulumi:providers:kubernetes", "k3s").Inputs
	require.Equal(t, "/home/alice/.kube/config", inputs["kubeconfig"].StringValue())
	require.Equal(t, "stateful-k3s", inputs["clusterIdentifier"].StringValue())
}

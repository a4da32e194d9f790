package kube_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

func TestProbesAskForTheAppsOwnPaths(t *testing.T) {
	for want, app := range map[[2]string]kube.WebApp{
		{"/livez", "/readyz"}: {}, {"/healthz", "/ready"}: {LivePath: "/healthz", ReadyPath: "/ready"},
	} {
		recording := recorder.Run(t, func(ctx *pulumi.Context) error {
			namespace, err := exercisesNamespace(ctx)
			if err != nil {
				return err
			}
			app.Namespace, app.Name, app.Image, app.Memory = namespace, "shop", pulumi.String("shop"), "64Mi"
			_, err = app.Declare(ctx, "shop")
			return err
		})
		pod := recorder.Object[*appsv1.Deployment](recording, "shop-deployment").Spec.Template.Spec
		container := pod.Containers[0]
		require.Equal(t, want[0], container.StartupProbe.HTTPGet.Path)
		require.Equal(t, want[0], container.LivenessProbe.HTTPGet.Path)
		require.Equal(t, want[1], container.ReadinessProbe.HTTPGet.Path)
	}
}

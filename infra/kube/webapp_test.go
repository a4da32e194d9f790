package kube_test

import (
	"testing"

	sdkcorev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

func declareWebApp(ctx *pulumi.Context) error {
	namespace, err := kube.NewNamespace(ctx, "project", kube.NamespaceArgs{Name: "alice-project"})
	if err != nil {
		return err
	}
	app := kube.WebApp{
		Namespace: namespace,
		Name:      "shop",
		Service:   "shop-svc",
		Image:     pulumi.String("registry.example.com/shop"),
		Replicas:  3,
		Memory:    "48Mi",
		Env:       sdkcorev1.EnvVarArray{kube.Env("COLOUR", "red")},
		Volumes: sdkcorev1.VolumeArray{sdkcorev1.VolumeArgs{Name: pulumi.String("data"),
			EmptyDir: sdkcorev1.EmptyDirVolumeSourceArgs{}}},
		Mounts:    sdkcorev1.VolumeMountArray{kube.Mount("data", "/data")},
		RestartOn: pulumi.StringMap{"digest": pulumi.String("1234")},
	}
	_, err = app.Declare(ctx, "shop")
	return err
}

func TestWebApp(t *testing.T) {
	recording := recorder.Run(t, declareWebApp)
	labels := map[string]string{"app": "shop"}
	selector := metav1.LabelSelector{MatchLabels: labels}
	budget := recorder.Object[*policyv1.PodDisruptionBudget](recording, "shop-budget")
	require.Equal(t, policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr.To(intstr.FromInt32(1)),
		Selector: &selector}, budget.Spec)
	service := recorder.Object[*corev1.Service](recording, "shop-service")
	require.Equal(t, "true", service.Annotations["pulumi.com/skipAwait"])
	require.Equal(t, corev1.ServiceSpec{
		Selector: labels,
		Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}},
	}, service.Spec)
	deployment := recorder.Object[*appsv1.Deployment](recording, "shop-deployment")
	require.Equal(t, ptr.To[int32](3), deployment.Spec.Replicas)
	require.Equal(t, &selector, deployment.Spec.Selector)
	require.Equal(t, appsv1.DeploymentStrategy{
		Type: appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{
			MaxUnavailable: ptr.To(intstr.FromInt32(0)), MaxSurge: ptr.To(intstr.FromInt32(1)),
		},
	}, deployment.Spec.Strategy)
	require.Equal(t, map[string]string{"digest": "1234"}, deployment.Spec.Template.Annotations)
	require.Equal(t, "shop", deployment.Spec.Template.Labels["app"])

	for name, object := range map[string]metav1.Object{"shop": budget, "shop-svc": service} {
		require.Equal(t, name, object.GetName())
		require.Equal(t, "alice-project", object.GetNamespace())
	}
	require.Equal(t, "shop", deployment.Name)
	for _, recorded := range recording.All() {
		if recorded.Object != nil && recorded.URN.Name()[:4] == "shop" {
			require.Subset(t, recorded.DependsOn(), []string{"project", "project-default-deny", "project-dns"},
				recorded.URN)
		}
	}
	// The other way round, each would wait for the other.
	require.Contains(t, recording.Get(t, "kubernetes:core/v1:Service", "shop-service").DependsOn(),
		"shop-deployment")
}

func TestPodOfAWebApp(t *testing.T) {
	pod := recorder.Object[*appsv1.Deployment](recorder.Run(t, declareWebApp),
		"shop-deployment").Spec.Template.Spec
	http := func(path string, period, failures int32) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path,
				Port: intstr.FromInt32(8080)}},
			PeriodSeconds: period, TimeoutSeconds: 5, FailureThreshold: failures,
		}
	}
	require.Equal(t, ptr.To(false), pod.AutomountServiceAccountToken)
	require.Equal(t, ptr.To[int64](30), pod.TerminationGracePeriodSeconds)
	require.Equal(t, []corev1.TopologySpreadConstraint{{
		TopologyKey: "kubernetes.io/hostname", MaxSkew: 1, WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "shop"}},
	}}, pod.TopologySpreadConstraints)
	require.Equal(t, []corev1.Volume{{Name: "data",
		VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}, pod.Volumes)
	require.Equal(t, []corev1.Container{{
		Name:  "shop",
		Image: "registry.example.com/shop",
		Env: []corev1.EnvVar{
			{Name: "COLOUR", Value: "red"},
			{Name: "PORT", Value: "8080"},
			{Name: "METRICS_PORT", Value: "9090"},
		},
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080},
			{Name: "metrics", ContainerPort: 9090}},
		Resources:       kubetest.Resources("50m", "2", "48Mi"),
		StartupProbe:    http("/livez", 2, 30),
		LivenessProbe:   http("/livez", 5, 3),
		ReadinessProbe:  http("/readyz", 5, 3),
		VolumeMounts:    []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
		SecurityContext: kubetest.Hardened(65532),
	}}, pod.Containers)
}

func TestWebAppErrors(t *testing.T) {
	recorder.RequireErrors(t, declareWebApp, map[string]string{
		"shop-budget":     "declaring pod disruption budget shop: ",
		"shop-deployment": "declaring deployment shop: ",
		"shop-service":    "declaring service shop-svc: ",
	})
}

func TestWebAppWithArgumentsAndWithoutService(t *testing.T) {
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		namespace, err := kube.NewNamespace(ctx, "project", kube.NamespaceArgs{Name: "alice-project"})
		if err != nil {
			return err
		}
		app := kube.WebApp{
			Namespace: namespace, Name: "shop", Image: pulumi.String("registry.example.com/shop"), Replicas: 1,
			Memory: "48Mi",
			Args:   pulumi.StringArray{pulumi.String("sell")},
		}
		service, err := app.Declare(ctx, "shop")
		require.Nil(t, service)
		return err
	})
	require.NotContains(t, recording.Names(), "shop-service kubernetes:core/v1:Service")
	deployment := recorder.Object[*appsv1.Deployment](recording, "shop-deployment")
	require.Equal(t, []string{"sell"}, deployment.Spec.Template.Spec.Containers[0].Args)
}

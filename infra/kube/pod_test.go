package kube_test

import (
	"testing"
	"time"

	sdkappsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	sdkcorev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	sdkmetav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// statefulSet runs the pod in a namespace with or without a registry login, and returns what the API server
// gets.
func statefulSet(t *testing.T, pod kube.Pod, login *kube.RegistryLogin) appsv1.StatefulSetSpec {
	t.Helper()
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		namespace, err := kube.NewNamespace(ctx, "exercises", kube.NamespaceArgs{Name: "exercises", Login: login})
		if err != nil {
			return err
		}
		_, err = sdkappsv1.NewStatefulSet(ctx, "pods", &sdkappsv1.StatefulSetArgs{
			Spec: sdkappsv1.StatefulSetSpecArgs{
				Selector: sdkmetav1.LabelSelectorArgs{},
				Template: pod.Template(namespace),
				VolumeClaimTemplates: sdkcorev1.PersistentVolumeClaimTypeArray{kube.Claim("test", "data", "local-path",
					"100Mi")},
			},
		})
		return err
	})
	return recorder.Object[*appsv1.StatefulSet](recording, "pods").Spec
}

func TestPodIsHardened(t *testing.T) {
	pod := kube.Pod{
		App:       "test",
		Labels:    map[string]string{"app": "test"},
		RestartOn: pulumi.StringMap{"digest": pulumi.String("1234")},
		Spec: sdkcorev1.PodSpecArgs{Containers: sdkcorev1.ContainerArray{
			kube.Container(65532, kube.Resources{CPU: "10m", CPULimit: "100m", Memory: "16Mi"},
				sdkcorev1.ContainerArgs{
					Name: pulumi.String("main"),
				}),
		}},
	}
	template := statefulSet(t, pod, nil).Template

	require.Equal(t, metav1.ObjectMeta{
		Labels: map[string]string{
			"app":                          "test",
			"app.kubernetes.io/name":       "test",
			"app.kubernetes.io/part-of":    "stateful-k3s",
			"app.kubernetes.io/managed-by": "pulumi",
		},
		Annotations: map[string]string{"digest": "1234"},
	}, template.ObjectMeta)
	require.Equal(t, corev1.PodSpec{
		AutomountServiceAccountToken: ptr.To(false),
		EnableServiceLinks:           ptr.To(false),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot:   ptr.To(true),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: "main",
			SecurityContext: &corev1.SecurityContext{
				RunAsUser:                ptr.To[int64](65532),
				RunAsGroup:               ptr.To[int64](65532),
				RunAsNonRoot:             ptr.To(true),
				AllowPrivilegeEscalation: ptr.To(false),
				ReadOnlyRootFilesystem:   ptr.To(true),
				Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{"cpu": resource.MustParse("10m"), "memory": resource.MustParse("16Mi"),
					"ephemeral-storage": resource.MustParse("64Mi")},
				Limits: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("16Mi"),
					"ephemeral-storage": resource.MustParse("512Mi")},
			},
		}},
	}, template.Spec)
}

func TestPodWithVolume(t *testing.T) {
	spec := statefulSet(t, kube.Pod{FSGroup: 999}, nil)

	security := spec.Template.Spec.SecurityContext
	require.Equal(t, ptr.To[int64](999), security.FSGroup)
	require.Equal(t, ptr.To(corev1.FSGroupChangeOnRootMismatch), security.FSGroupChangePolicy)
	require.Equal(t, metav1.ObjectMeta{
		Name:   "data",
		Labels: map[string]string{"app.kubernetes.io/name": "test"},
	}, spec.VolumeClaimTemplates[0].ObjectMeta)
	require.Equal(t, corev1.PersistentVolumeClaimSpec{
		AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		StorageClassName: ptr.To("local-path"),
		Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{"storage": resource.MustParse("100Mi")},
		},
	}, spec.VolumeClaimTemplates[0].Spec)
}

func TestPodLogsInToTheRegistry(t *testing.T) {
	login := &kube.RegistryLogin{Server: "registry.example.com", Username: "alice",
		Password: pulumi.String("password")}
	require.Equal(t, []corev1.LocalObjectReference{{Name: "registry"}},
		statefulSet(t, kube.Pod{}, login).Template.Spec.ImagePullSecrets)
}

func TestProbes(t *testing.T) {
	template := statefulSet(t, kube.Pod{Spec: sdkcorev1.PodSpecArgs{Containers: sdkcorev1.ContainerArray{
		sdkcorev1.ContainerArgs{
			Name:           pulumi.String("main"),
			StartupProbe:   kube.Within(time.Minute, kube.HTTPProbe("/livez", 8080)),
			ReadinessProbe: kube.ExecProbe("redis-cli", "ping"),
			LivenessProbe:  kube.TCPProbe(6379),
		},
	}}}, nil).Template

	container := template.Spec.Containers[0]
	require.Equal(t, &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/livez",
			Port: intstr.FromInt32(8080)}},
		PeriodSeconds: 2, TimeoutSeconds: 5, FailureThreshold: 30,
	}, container.StartupProbe)
	require.Equal(t, &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"redis-cli", "ping"}}},
		PeriodSeconds: 5, TimeoutSeconds: 5, FailureThreshold: 3,
	}, container.ReadinessProbe)
	require.Equal(t, &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(6379)}},
		PeriodSeconds: 5, TimeoutSeconds: 5, FailureThreshold: 3,
	}, container.LivenessProbe)
}

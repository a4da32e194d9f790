package kube_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

func declareStatefulSet(ctx *pulumi.Context) error { return declareStatefulSetOf(ctx, 3) }

func declareStatefulSetOf(ctx *pulumi.Context, replicas int) error {
	namespace, err := kube.NewNamespace(ctx, "project", kube.NamespaceArgs{Name: "alice-project"})
	if err != nil {
		return err
	}
	_, err = kube.StatefulSet{
		Namespace: namespace,
		Name:      "shelf-ss",
		Service:   "shelf-svc",
		Replicas:  replicas,
		Pod:       kube.Pod{App: "shelf", Labels: map[string]string{"app": "books"}, FSGroup: 999},
		Claim:     kube.Claim("shelf", "data", "local-path", "1Gi"),
	}.Declare(ctx, "shelf-statefulset")
	return err
}

func TestStatefulSet(t *testing.T) {
	recording := recorder.Run(t, declareStatefulSet)
	declared := recorder.Object[*appsv1.StatefulSet](recording, "shelf-statefulset")
	require.Equal(t, "alice-project", declared.Namespace)
	require.Equal(t, "shelf-ss", declared.Name)
	require.Equal(t, "shelf", declared.Labels["app.kubernetes.io/name"])
	spec := declared.Spec
	require.Equal(t, "shelf-svc", spec.ServiceName)
	require.Equal(t, ptr.To[int32](3), spec.Replicas)
	require.Equal(t, appsv1.ParallelPodManagement, spec.PodManagementPolicy)
	require.Equal(t, appsv1.StatefulSetUpdateStrategy{Type: appsv1.RollingUpdateStatefulSetStrategyType},
		spec.UpdateStrategy)
	require.Equal(t, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "books"}}, spec.Selector)
	require.Equal(t, "books", spec.Template.Labels["app"])
	require.Equal(t, ptr.To[int64](999), spec.Template.Spec.SecurityContext.FSGroup)
	require.Len(t, spec.VolumeClaimTemplates, 1)
	require.Equal(t, "data", spec.VolumeClaimTemplates[0].Name)
	require.Equal(t, &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
		WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
		WhenScaled:  appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
	}, spec.PersistentVolumeClaimRetentionPolicy)
	require.Equal(t, []string{"project", "project-default-deny", "project-dns"},
		recording.Get(t, "kubernetes:apps/v1:StatefulSet", "shelf-statefulset").DependsOn())
	budget := recorder.Object[*policyv1.PodDisruptionBudget](recording, "shelf-statefulset-budget")
	require.Equal(t, "alice-project", budget.Namespace)
	require.Equal(t, "shelf-ss", budget.Name)
	require.Equal(t, policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr.To(intstr.FromInt32(1)),
		Selector: spec.Selector}, budget.Spec)
}

func TestASinglePodIsReplacedEvenIfItIsNotReady(t *testing.T) {
	recording := recorder.Run(t, func(ctx *pulumi.Context) error { return declareStatefulSetOf(ctx, 1) })
	require.Equal(t, appsv1.StatefulSetUpdateStrategy{
		Type:          appsv1.RollingUpdateStatefulSetStrategyType,
		RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{MaxUnavailable: ptr.To(intstr.FromInt32(2))},
	}, recorder.Object[*appsv1.StatefulSet](recording, "shelf-statefulset").Spec.UpdateStrategy)
}

func TestStatefulSetErrors(t *testing.T) {
	recorder.RequireErrors(t, declareStatefulSet, map[string]string{
		"shelf-statefulset":        "declaring stateful set shelf-ss: ",
		"shelf-statefulset-budget": "declaring pod disruption budget shelf-ss: ",
	})
}

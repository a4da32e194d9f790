package main

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// podTemplate returns the template of the object's pods, or nil if it has none.
func podTemplate(object runtime.Object) *corev1.PodTemplateSpec {
	switch o := object.(type) {
	case *appsv1.StatefulSet:
		return &o.Spec.Template
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *batchv1.Job:
		return &o.Spec.Template
	case *batchv1.CronJob:
		return &o.Spec.JobTemplate.Spec.Template
	}
	return nil
}

// everyPod are settings with which there are all kinds of pods.
func everyPod() map[string]string {
	settings := maps.Clone(variants["restore"])
	settings["monitoring"] = "builtin"
	return settings
}

// Redis and Prometheus are not built here, so their images have the digests of the settings, if any.
func TestEveryImageIsNamedByDigest(t *testing.T) {
	tagged := []string{}
	for _, recorded := range recorder.Run(t, withoutCluster, settings(t, everyPod())).All() {
		pod := podTemplate(recorded.Object)
		if pod == nil {
			continue
		}
		for _, container := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
			if !strings.Contains(container.Image, "@sha256:") {
				tagged = append(tagged, container.Image)
			}
		}
	}
	require.ElementsMatch(t, []string{"redis:8", "prom/prometheus:v2.53.3"}, tagged)
}

// TestEveryPodIsRestricted runs Kubernetes' own checks of Pod Security, and stricter ones.
func TestEveryPodIsRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	checked := []string{}
	for _, recorded := range recorder.Run(t, withoutCluster, settings(t, everyPod())).All() {
		pod := podTemplate(recorded.Object)
		if pod == nil {
			continue
		}
		name := recorded.URN.Name()
		checked = append(checked, name)
		for _, result := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
			assert.True(t, result.Allowed, "%s: %s %s", name, result.ForbiddenReason, result.ForbiddenDetail)
		}
		require.Equal(t, new(bool), pod.Spec.AutomountServiceAccountToken, name)
		for _, volume := range pod.Spec.Volumes {
			assert.Nil(t, volume.Projected, "%s: volume %s may contain a token", name, volume.Name)
		}
		for _, container := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
			require.NotNil(t, container.SecurityContext, "%s: %s", name, container.Name)
			assert.NotZero(t, *container.SecurityContext.RunAsUser, "%s: %s", name, container.Name)
			assert.NotZero(t, *container.SecurityContext.RunAsGroup, "%s: %s", name, container.Name)
			assert.True(t, *container.SecurityContext.ReadOnlyRootFilesystem, "%s: %s", name, container.Name)
		}
	}
	require.ElementsMatch(t, []string{
		"pingpong-backup-cronjob", "pingpong-backup-job", "pingpong-backup-metrics-deployment",
		"pingpong-backup-restore-job", "pingpong-deployment",
		"pingpong-postgres-statefulset", "prometheus-statefulset", "redis-statefulset", "storage-statefulset",
		"todo-backend-deployment",
		"todo-backup-cronjob", "todo-backup-job",
		"todo-backup-metrics-deployment", "todo-backup-restore-job", "todo-daily-cronjob",
		"todo-frontend-deployment", "todo-postgres-statefulset",
	}, checked)
}

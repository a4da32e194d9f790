package todo_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/todo"
)

func cronJob(t *testing.T, changes ...func(*todo.Args)) *batchv1.CronJob {
	t.Helper()
	return recorder.Object[*batchv1.CronJob](recorder.Run(t, program(changes...)), "list-daily-cronjob")
}

func TestCronJob(t *testing.T) {
	daily := cronJob(t)
	require.Equal(t, "daily-todo", daily.Name)
	spec := daily.Spec
	require.Equal(t, "daily-todo", spec.JobTemplate.Spec.Template.Labels["app"])
	spec.JobTemplate.Spec.Template = corev1.PodTemplateSpec{}
	require.Equal(t, batchv1.CronJobSpec{
		Schedule:                   "0 * * * *",
		TimeZone:                   ptr.To("Etc/UTC"),
		ConcurrencyPolicy:          batchv1.ForbidConcurrent,
		StartingDeadlineSeconds:    ptr.To[int64](600),
		SuccessfulJobsHistoryLimit: ptr.To[int32](3),
		FailedJobsHistoryLimit:     ptr.To[int32](3),
		JobTemplate: batchv1.JobTemplateSpec{
			ObjectMeta: daily.Spec.JobTemplate.ObjectMeta,
			Spec:       batchv1.JobSpec{BackoffLimit: ptr.To[int32](3), ActiveDeadlineSeconds: ptr.To[int64](1200)},
		},
	}, spec)
	require.Equal(t, map[string]string{"app": "daily-todo"}, daily.Spec.JobTemplate.Labels)
}

func TestPodOfTheCronJob(t *testing.T) {
	pod := cronJob(t).Spec.JobTemplate.Spec.Template.Spec
	require.Equal(t, corev1.RestartPolicyNever, pod.RestartPolicy)
	require.Equal(t, ptr.To(false), pod.AutomountServiceAccountToken)
	require.Empty(t, pod.Volumes)
	require.Equal(t, []corev1.Container{{
		Name:  "daily-todo",
		Image: dailyImage,
		Env: []corev1.EnvVar{
			fromConfigMap("BACKEND_URL"),
			fromConfigMap("ARTICLE_URL"),
			{Name: "JOB_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{
				FieldPath: "metadata.labels['batch.kubernetes.io/job-name']",
			}}},
			{Name: "TERMINATION_LOG", Value: "/dev/termination-log"},
		},
		TerminationMessagePath:   "/dev/termination-log",
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		Resources:                kubetest.Resources("10m", "1", "32Mi"),
		SecurityContext:          kubetest.Hardened(65532),
	}}, pod.Containers)
}

func TestScheduleOfChoice(t *testing.T) {
	spec := cronJob(t, func(args *todo.Args) {
		args.Daily.Schedule, args.Daily.TimeZone = "30 7 * * *",
			"Europe/Helsinki"
	}).Spec
	require.Equal(t, "30 7 * * *", spec.Schedule)
	require.Equal(t, ptr.To("Europe/Helsinki"), spec.TimeZone)
}

func TestFurtherAuthorities(t *testing.T) {
	recording := recorder.Run(t, program(
		func(args *todo.Args) { args.Daily.Authorities = "-----BEGIN CERTIFICATE-----" }))
	require.Equal(t, "-----BEGIN CERTIFICATE-----",
		recorder.Object[*corev1.ConfigMap](recording, "list-config").Data["authorities.pem"])
	pod := recorder.Object[*batchv1.CronJob](recording, "list-daily-cronjob").Spec.JobTemplate.Spec.Template.Spec
	require.Equal(t, []corev1.Volume{{Name: "config",
		VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "todo-config"},
			Items:                []corev1.KeyToPath{{Key: "authorities.pem", Path: "authorities.pem"}},
		}}}}, pod.Volumes)
	container := pod.Containers[0]
	require.Equal(t, []corev1.VolumeMount{{Name: "config", MountPath: "/etc/daily-todo", ReadOnly: true}},
		container.VolumeMounts)
	require.Contains(t, container.Env, corev1.EnvVar{Name: "CA_FILE", Value: "/etc/daily-todo/authorities.pem"})
}

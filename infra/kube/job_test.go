package kube_test

import (
	"testing"
	"time"

	sdkcorev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

func declareJobs(ctx *pulumi.Context) error {
	namespace, err := kube.NewNamespace(ctx, "project", kube.NamespaceArgs{Name: "alice-project"})
	if err != nil {
		return err
	}
	job := kube.Job{
		Namespace:         namespace,
		Name:              "sweep",
		FSGroup:           999,
		Spec:              sdkcorev1.PodSpecArgs{Containers: sdkcorev1.ContainerArray{sdkcorev1.ContainerArgs{Name: pulumi.String("broom")}}},
		FailFastContainer: "broom",
		Deadline:          time.Hour,
	}
	if _, err := job.Declare(ctx, "sweep-job"); err != nil {
		return err
	}
	return job.DeclareCron(ctx, "sweep-cronjob",
		kube.Schedule{Cron: "0 2 * * *", TimeZone: "Europe/Helsinki", StartingDeadline: 6 * time.Hour})
}

func TestJobAndCronJob(t *testing.T) {
	recording := recorder.Run(t, declareJobs)
	job := recorder.Object[*batchv1.Job](recording, "sweep-job")
	require.Equal(t, "alice-project", job.Namespace)
	require.Equal(t, "sweep", job.Name)
	require.Equal(t, "true", job.Annotations["pulumi.com/replaceUnready"])
	pod := job.Spec.Template
	require.Equal(t, "sweep", pod.Labels["app"])
	require.Equal(t, corev1.RestartPolicyNever, pod.Spec.RestartPolicy)
	require.Equal(t, ptr.To[int64](999), pod.Spec.SecurityContext.FSGroup)
	require.Equal(t, "broom", pod.Spec.Containers[0].Name)
	require.Equal(t, batchv1.JobSpec{
		BackoffLimit: ptr.To[int32](3), ActiveDeadlineSeconds: ptr.To[int64](3600), Template: pod,
		PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
			Action: batchv1.PodFailurePolicyActionFailJob,
			OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
				ContainerName: ptr.To("broom"), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{3},
			},
		}}},
	}, job.Spec)

	cron := recorder.Object[*batchv1.CronJob](recording, "sweep-cronjob")
	require.Equal(t, "sweep", cron.Name)
	require.NotContains(t, cron.Annotations, "pulumi.com/replaceUnready")
	require.Equal(t, batchv1.CronJobSpec{
		Schedule:                   "0 2 * * *",
		TimeZone:                   ptr.To("Europe/Helsinki"),
		ConcurrencyPolicy:          batchv1.ForbidConcurrent,
		StartingDeadlineSeconds:    ptr.To[int64](6 * 3600),
		SuccessfulJobsHistoryLimit: ptr.To[int32](3),
		FailedJobsHistoryLimit:     ptr.To[int32](3),
		JobTemplate: batchv1.JobTemplateSpec{ObjectMeta: cron.Spec.JobTemplate.ObjectMeta,
			Spec: job.Spec},
	}, cron.Spec)
	require.Equal(t, map[string]string{"app": "sweep"}, cron.Spec.JobTemplate.Labels)

	for token, name := range map[string]string{"kubernetes:batch/v1:Job": "sweep-job",
		"kubernetes:batch/v1:CronJob": "sweep-cronjob"} {
		require.Equal(t, []string{"project", "project-default-deny", "project-dns"},
			recording.Get(t, token, name).DependsOn())
	}
}

// Pulumi gives up a Job after ten minutes by itself.
func TestPulumiWaitsForAJobUntilItsDeadline(t *testing.T) {
	timeouts := recorder.Run(t, declareJobs).Get(t, "kubernetes:batch/v1:Job",
		"sweep-job").Request.GetCustomTimeouts()
	for _, timeout := range []string{timeouts.GetCreate(), timeouts.GetUpdate()} {
		duration, err := time.ParseDuration(timeout)
		require.NoError(t, err)
		require.Greater(t, duration, time.Hour)
	}
}

func TestJobErrors(t *testing.T) {
	recorder.RequireErrors(t, declareJobs, map[string]string{
		"sweep-job":     "declaring job sweep: ",
		"sweep-cronjob": "declaring cron job sweep: ",
	})
}

package backup_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/database/backup"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const heartbeatURL = "https://hc.example.com:8443/tick-tock/todo"

func beat(args *backup.Args) {
	args.Heartbeat = &backup.Heartbeat{URL: pulumi.ToSecret(pulumi.String(heartbeatURL)).(pulumi.StringOutput),
		Server: "https://hc.example.com:8443", Networks: []kube.Network{{CIDR: "10.1.5.0/24"}}}
}

// The address is in a Secret that only the container with the program sees, in Jobs that make backups.
func TestHeartbeat(t *testing.T) {
	recording := recorder.Run(t, program(beat, replace))
	secret := recorder.Object[*corev1.Secret](recording, "todos-heartbeat")
	require.Equal(t, heartbeatURL, string(secret.Data["url"]))
	recording.RequireSecret(t, heartbeatURL)

	job := jobOf(recording, "todos-job")
	cron := recorder.Object[*batchv1.CronJob](recording, "todos-cronjob").Spec.JobTemplate.Spec
	require.Equal(t, job, cron)
	pod := job.Template.Spec
	require.Contains(t, pod.Containers[0].Env,
		corev1.EnvVar{Name: "HEARTBEAT_URL_FILE", Value: "/run/secrets/heartbeat/url"})
	mounts := func(spec batchv1.JobSpec) (paths []string) {
		for _, mount := range spec.Template.Spec.Containers[0].VolumeMounts {
			paths = append(paths, mount.MountPath)
		}
		return paths
	}
	require.Contains(t, mounts(job), "/run/secrets/heartbeat")
	require.NotContains(t, mounts(jobOf(recording, "todos-restore-job")), "/run/secrets/heartbeat")

	policy := recorder.Object[*networkingv1.NetworkPolicy](recording, "todos-heartbeat-egress").Spec
	require.Equal(t, map[string]string{"app": "backup"}, policy.PodSelector.MatchLabels)
	require.Equal(t, "10.1.5.0/24", policy.Egress[0].To[0].IPBlock.CIDR)
	require.EqualValues(t, 8443, policy.Egress[0].Ports[0].Port.IntValue())

	for _, name := range []string{"todos-job", "todos-cronjob"} {
		for _, recorded := range recording.All() {
			if recorded.URN.Name() == name {
				require.Contains(t, recorded.DependsOn(), "todos-heartbeat", name)
			}
		}
	}
}

func TestDeclarationErrorsOfTheHeartbeat(t *testing.T) {
	recorder.RequireErrors(t, program(beat), map[string]string{
		"todos-heartbeat":        "backup todos: declaring secret backup-heartbeat: ",
		"todos-heartbeat-egress": "backup todos: declaring network policy todos-heartbeat-egress: ",
	})
}

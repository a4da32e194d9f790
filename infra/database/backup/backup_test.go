package backup_test

import (
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/database/backup"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// program declares a storage server, a namespace with a Postgres, and its backups, after the changes to their
// arguments.
func program(changes ...func(*backup.Args)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		store, err := kubetest.NewStorage(ctx, "alice-project")
		if err != nil {
			return err
		}
		namespace, database, err := kubetest.NewDatabase(ctx, "project", "todo")
		if err != nil {
			return err
		}
		args := backup.Args{
			Namespace: namespace,
			Image:     pulumi.String("backup"),
			Server:    database,
			Bucket:    store.Bucket("alice-project"),
			Folder:    pulumi.String("alice-project"),
			Settings: backup.Settings{
				Schedule: "0 2 * * *", TimeZone: "Etc/UTC", KeepDaily: 7, KeepWeekly: 4, KeepMonthly: 6,
				ScratchSize: "4Gi", Memory: "512Mi", Compression: 3, Timeout: time.Hour,
			},
		}
		for _, change := range changes {
			change(&args)
		}
		_, err = backup.New(ctx, "todos", args)
		return err
	}
}

func jobOf(recording *recorder.Recording, name string) batchv1.JobSpec {
	return recorder.Object[*batchv1.Job](recording, name).Spec
}

// No backup waits for the Job of another database, and no schedule for the first backup.
func TestOrder(t *testing.T) {
	recording := recorder.Run(t, program())
	namespace := []string{"project", "project-default-deny", "project-dns"}
	for name, want := range map[string][]string{
		"todos-job":                append(namespace, "todos-secret", "db-statefulset", "store-statefulset"),
		"todos-cronjob":            append(namespace, "todos-secret", "db-statefulset"),
		"todos-metrics-deployment": append(namespace, "todos-secret", "store-statefulset"),
	} {
		for _, recorded := range recording.All() {
			if recorded.URN.Name() == name {
				require.ElementsMatch(t, want, recorded.DependsOn(), name)
			}
		}
	}
}

func TestFirstBackupIsLikeEveryOther(t *testing.T) {
	recording := recorder.Run(t, program())
	cron := recorder.Object[*batchv1.CronJob](recording, "todos-cronjob")
	require.Equal(t, jobOf(recording, "todos-job"), cron.Spec.JobTemplate.Spec)
}

// A restored database may run code in the server's container. It must find no secret there, no file of the
// program and no process of it.
func TestThrowawayServerIsAlone(t *testing.T) {
	recording := recorder.Run(t, program(replace))
	for _, name := range []string{"todos-job", "todos-restore-job"} {
		pod := jobOf(recording, name).Template.Spec
		require.Len(t, pod.InitContainers, 1)
		server := pod.InitContainers[0]
		require.Equal(t, []corev1.EnvVar{{Name: "SERVER_DIR", Value: "/server"}}, server.Env)
		require.Empty(t, server.EnvFrom)
		require.Equal(t, []corev1.VolumeMount{{Name: "server", MountPath: "/server"}}, server.VolumeMounts)
		require.Nil(t, pod.ShareProcessNamespace)
		require.False(t, pod.HostPID)
	}
}

// The program ends an attempt in time, and says so. The Job's deadline would delete the pod with its log.
func TestDeadlineLeavesTimeForEveryAttempt(t *testing.T) {
	for _, timeout := range []time.Duration{time.Minute, time.Hour} {
		job := jobOf(recorder.Run(t, program(func(args *backup.Args) { args.Timeout = timeout })), "todos-job")
		require.Greater(t, *job.ActiveDeadlineSeconds, int64(timeout.Seconds())*int64(*job.BackoffLimit+1))
		require.Nil(t, job.TTLSecondsAfterFinished)
		require.Equal(t, ptr.To("backup"), job.PodFailurePolicy.Rules[0].OnExitCodes.ContainerName)
	}
}

func TestKeyOfTheBucket(t *testing.T) {
	recording := recorder.Run(t, program())
	server := recorder.Object[*corev1.Secret](recording, "store-secret").Data
	secret := recorder.Object[*corev1.Secret](recording, "todos-secret").Data
	require.Equal(t, "alice-project", string(secret["access-key"]))
	require.Equal(t, server["alice-project"], secret["secret-key"])
	require.Contains(t, string(secret["ca.crt"]), "BEGIN CERTIFICATE")
	recording.RequireSecret(t, string(secret["secret-key"]))
}

func TestDeclarationErrors(t *testing.T) {
	recorder.RequireErrors(t, program(), map[string]string{
		"todos":                        "declaring backup todos: ",
		"todos-secret":                 "backup todos: declaring secret backup: ",
		"todos-database-egress":        "backup todos: declaring network policy todos-database-egress: ",
		"todos-bucket-ingress":         "backup todos: declaring network policy todos-bucket-ingress: ",
		"todos-metrics-bucket-ingress": "backup todos: declaring network policy todos-metrics-bucket-ingress: ",
		"todos-job":                    "backup todos: declaring job backup: ",
		"todos-cronjob":                "backup todos: declaring cron job backup: ",
		"todos-metrics-deployment":     "backup todos: declaring deployment backup-metrics: ",
	})
}

func TestArgumentErrors(t *testing.T) {
	_, err := recorder.Try(t, program(func(args *backup.Args) { *args = backup.Args{} }))
	require.ErrorContains(t, err, `backup todos: Bucket.AccessKey is required
Bucket.Endpoint is required
Bucket.Name is required
Bucket.Region is required
Bucket.SecretKey is required
Folder is required
Image is required
Namespace is required
Server is required`)
}

func TestDefaults(t *testing.T) {
	given := recorder.Run(t, program())
	byDefault := recorder.Run(t, program(func(args *backup.Args) {
		args.Settings = backup.Settings{KeepDaily: 7, KeepWeekly: 4, KeepMonthly: 6}
	}))
	for name, token := range map[string]string{
		"todos-cronjob": "kubernetes:batch/v1:CronJob", "todos-job": "kubernetes:batch/v1:Job",
	} {
		require.Equal(t, given.Get(t, token, name).Inputs, byDefault.Get(t, token, name).Inputs, name)
	}
}

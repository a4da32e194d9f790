package postgres_test

import (
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/postgres"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

// archived has the server archive to a bucket elsewhere.
func archived(args *postgres.Args) {
	args.Archive = &postgres.Archive{
		Bucket: storage.Bucket{
			Endpoint: "https://s3.example.com", Region: "eu-north-1", Name: "attic", Prefix: "house", PathStyle: true,
			AccessKey: pulumi.String("the access key"), SecretKey: secret("the secret key"),
			Authorities: pulumi.String("the authority"), Networks: kube.Internet,
		},
		Timeout: 90 * time.Second, KeepDays: 14,
	}
}

func encrypted(args *postgres.Args) {
	archived(args)
	args.Archive.Passphrase = secret("the passphrase")
}

func secret(text string) pulumi.StringOutput {
	return pulumi.ToSecret(pulumi.String(text)).(pulumi.StringOutput)
}

var bucketEnv = []corev1.EnvVar{
	{Name: "S3_ENDPOINT", Value: "https://s3.example.com"},
	{Name: "S3_REGION", Value: "eu-north-1"},
	{Name: "S3_BUCKET", Value: "attic"},
	{Name: "S3_PREFIX", Value: "house/alice-exercises"},
	{Name: "S3_PATH_STYLE", Value: "true"},
	{Name: "S3_ACCESS_KEY_FILE", Value: "/run/secrets/bucket/access-key"},
	{Name: "S3_SECRET_KEY_FILE", Value: "/run/secrets/bucket/secret-key"},
	{Name: "S3_CA_FILE", Value: "/run/secrets/bucket/ca.crt"},
	{Name: "ARCHIVE_PASSPHRASE_FILE", Value: "/run/secrets/bucket/archive-passphrase"},
}

var bucketMount = corev1.VolumeMount{Name: "bucket", MountPath: "/run/secrets/bucket", ReadOnly: true}

func TestArchiverContainer(t *testing.T) {
	pod := statefulSet(t, encrypted).Template.Spec
	require.Len(t, pod.Containers, 3)
	require.Equal(t, corev1.Container{
		Name:    "archiver",
		Image:   "postgres:17",
		Command: []string{"archiver", "run"},
		Env: append(bucketEnv[:len(bucketEnv):len(bucketEnv)],
			corev1.EnvVar{Name: "PGDATA", Value: "/data/pgdata"},
			corev1.EnvVar{Name: "PGHOST", Value: "/var/run/postgresql"},
			corev1.EnvVar{Name: "PGUSER", Value: "postgres"},
			corev1.EnvVar{Name: "ARCHIVE_KEEP_DAYS", Value: "14"},
		),
		Resources: kubetest.Resources("10m", "1", "128Mi"),
		VolumeMounts: []corev1.VolumeMount{
			{Name: "data", MountPath: "/data", ReadOnly: true},
			{Name: "socket", MountPath: "/var/run/postgresql", ReadOnly: true},
			{Name: "archiver", MountPath: "/tmp"},
			bucketMount,
		},
		SecurityContext: kubetest.Hardened(999),
	}, pod.Containers[2])
}

func TestServerThatArchives(t *testing.T) {
	pod, before := statefulSet(t, encrypted).Template.Spec, statefulSet(t, nil).Template.Spec
	server := before.Containers[0]
	server.Env = append(append(server.Env, bucketEnv...), corev1.EnvVar{Name: "ARCHIVE_QUEUE", Value: "128MiB"})
	server.VolumeMounts = append(server.VolumeMounts, bucketMount)
	require.Equal(t, server, pod.Containers[0])
	require.Equal(t, before.InitContainers, pod.InitContainers, "set-up archives nothing")
	key := func(name string) corev1.KeyToPath { return corev1.KeyToPath{Key: name, Path: name} }
	require.Equal(t, append(before.Volumes,
		corev1.Volume{Name: "bucket", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: "postgres-archive", DefaultMode: ptr.To[int32](0o444),
			Items: []corev1.KeyToPath{key("access-key"), key("archive-passphrase"), key("ca.crt"), key("secret-key")},
		}}},
		corev1.Volume{Name: "archiver",
			VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	), pod.Volumes)
}

func TestLogMayWaitOnAnEighthOfTheVolume(t *testing.T) {
	for size, queue := range map[string]string{"256Mi": "32MiB", "10Gi": "1280MiB", "1Ti": "16384MiB"} {
		server := statefulSet(t, func(args *postgres.Args) {
			archived(args)
			args.StorageSize = size
		}).Template.Spec.Containers[0]
		require.Contains(t, server.Env, corev1.EnvVar{Name: "ARCHIVE_QUEUE", Value: queue}, size)
	}
}

func TestSecretOfTheArchive(t *testing.T) {
	recording := recorder.Run(t, program(encrypted))
	require.Equal(t, map[string][]byte{
		"access-key": []byte("the access key"), "secret-key": []byte("the secret key"),
		"ca.crt":             []byte("the authority"),
		"archive-passphrase": []byte("the passphrase"),
	}, recorder.Object[*corev1.Secret](recording, "pings-archive").Data)
	recording.RequireSecret(t, "the secret key")
	recording.RequireSecret(t, "the passphrase")

	recording = recorder.Run(t, program(archived))
	require.NotContains(t, recorder.Object[*corev1.Secret](recording, "pings-archive").Data,
		"archive-passphrase")
	server := recorder.Object[*appsv1.StatefulSet](recording,
		"pings-statefulset").Spec.Template.Spec.Containers[0]
	for _, variable := range server.Env {
		require.NotEqual(t, "ARCHIVE_PASSPHRASE_FILE", variable.Name)
	}
}

// The server waits for its Secret, but for no bucket.
func TestWhatTheServerWaitsFor(t *testing.T) {
	var in storage.Bucket
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		store, err := kubetest.NewStorage(ctx, "alice-exercises")
		if err != nil {
			return err
		}
		in = store.Bucket("alice-exercises")
		_, err = declare(ctx, func(args *postgres.Args) {
			args.Archive = &postgres.Archive{Bucket: in, Timeout: time.Minute, KeepDays: 7}
		})
		return err
	})
	waitsFor := recording.Get(t, "kubernetes:apps/v1:StatefulSet", "pings-statefulset").DependsOn()
	require.Contains(t, waitsFor, "pings-archive")
	require.NotContains(t, waitsFor, "store-statefulset")
	kubetest.RequireConnectionInto(t, recording, "pings-bucket", "alice-exercises", "alice-storage",
		kubetest.Label("app", "postgres"), kubetest.Label("app", "storage"), 9000)
}

func TestServerReachesABucketElsewhere(t *testing.T) {
	policy := recorder.Object[*networkingv1.NetworkPolicy](recorder.Run(t, program(archived)),
		"pings-bucket-egress")
	require.Equal(t, kubetest.Label("app", "postgres"), policy.Spec.PodSelector)
}

func TestParametersOfTheArchive(t *testing.T) {
	parameters := func(change func(*postgres.Args)) string {
		return recorder.Object[*corev1.ConfigMap](recorder.Run(t, program(change)),
			"pings-config").Data["postgresql.conf"]
	}
	for _, line := range []string{
		"archive_mode = 'on'\n", "archive_command = 'archiver push %p # pgbackrest looks for its name here'\n",
		"archive_timeout = '90s'\n", "wal_level = 'replica'\n",
	} {
		require.Contains(t, parameters(archived), line)
	}
	require.Contains(t, parameters(nil), "archive_mode = 'off'\n")
	for _, name := range []string{"archive_mode", "archive_command", "archive_library", "archive_timeout",
		"wal_level"} {
		for _, archive := range []func(*postgres.Args){archived, func(*postgres.Args) {}} {
			_, err := recorder.Try(t, program(func(args *postgres.Args) {
				archive(args)
				args.Parameters = postgres.Parameters{name: "x"}
			}))
			require.ErrorContains(t, err, "parameters: "+name+" is not yours to set")
		}
	}
}

func TestErrorsOfTheArchive(t *testing.T) {
	_, err := recorder.Try(t, program(func(args *postgres.Args) { args.Archive = &postgres.Archive{} }))
	require.ErrorContains(t, err, `postgres pings: Archive.Bucket.AccessKey is required
Archive.Bucket.Endpoint is required
Archive.Bucket.Name is required
Archive.Bucket.Region is required
Archive.Bucket.SecretKey is required
Archive.KeepDays is required
Archive.Timeout is required`)
	recorder.RequireErrors(t, program(archived), map[string]string{
		"pings-archive":       "postgres pings: declaring secret postgres-archive: ",
		"pings-bucket-egress": "postgres pings: ",
	})
}

package statefulset_test

import (
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

// archived makes the server archive to a bucket elsewhere.
func archived(args *statefulset.Args) {
	args.Archive = &statefulset.Archive{
		Bucket: storage.Bucket{
			Endpoint: pulumi.String("https://s3.example.com"), Region: pulumi.String("eu-north-1"),
			Name: pulumi.String("attic"), Prefix: pulumi.String("house"), PathStyle: true,
			AccessKey: pulumi.String("the access key"), SecretKey: secret("the secret key"),
			Authorities: pulumi.String("the authority"), Networks: kube.Internet,
		},
		Folder: pulumi.String("alice-exercises"), Timeout: 90 * time.Second, KeepDays: 14,
	}
}

func encrypted(args *statefulset.Args) {
	archived(args)
	args.Archive.Passphrase = secret("the passphrase")
}

func secret(text string) pulumi.StringOutput {
	return pulumi.ToSecret(pulumi.String(text)).(pulumi.StringOutput)
}

func TestLogMayWaitOnAnEighthOfTheVolume(t *testing.T) {
	for size, queue := range map[string]string{"256Mi": "32MiB", "10Gi": "1280MiB", "1Ti": "16384MiB"} {
		server := podTemplate(t, func(args *statefulset.Args) {
			archived(args)
			args.StorageSize = size
		}).Spec.Containers[0]
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
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		store, err := kubetest.NewStorage(ctx, "alice-exercises")
		if err != nil {
			return err
		}
		bucket := store.Bucket("alice-exercises")
		_, err = declare(ctx, func(args *statefulset.Args) {
			args.Archive = &statefulset.Archive{Bucket: bucket, Folder: pulumi.String("pings"), Timeout: time.Minute,
				KeepDays: 7}
		})
		return err
	})
	waitsFor := recording.Get(t, "kubernetes:apps/v1:StatefulSet", "pings-statefulset").DependsOn()
	require.Contains(t, waitsFor, "pings-archive")
	require.NotContains(t, waitsFor, "store-statefulset")
}

func TestParametersOfTheArchive(t *testing.T) {
	parameters := func(change func(*statefulset.Args)) string {
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
		for _, archive := range []func(*statefulset.Args){archived, func(*statefulset.Args) {}} {
			_, err := recorder.Try(t, program(func(args *statefulset.Args) {
				archive(args)
				args.Parameters = statefulset.Parameters{name: "x"}
			}))
			require.ErrorContains(t, err, "parameters: "+name+" is not yours to set")
		}
	}
}

func TestErrorsOfTheArchive(t *testing.T) {
	_, err := recorder.Try(t, program(func(args *statefulset.Args) { args.Archive = &statefulset.Archive{} }))
	require.ErrorContains(t, err, `postgres pings: Archive.Bucket.AccessKey is required
Archive.Bucket.Endpoint is required
Archive.Bucket.Name is required
Archive.Bucket.Region is required
Archive.Bucket.SecretKey is required
Archive.Folder is required
Archive.KeepDays is required
Archive.Timeout is required`)
	recorder.RequireErrors(t, program(archived), map[string]string{
		"pings-archive":       "postgres pings: declaring secret postgres-archive: ",
		"pings-bucket-egress": "postgres pings: ",
	})
}

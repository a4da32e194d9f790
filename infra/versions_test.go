package main

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// withVersions is the program on a cluster that has decided on versions of Postgres.
func withVersions(versions map[string]cluster.Version) pulumi.RunFunc {
	return program(func(cluster.Requirements, *pulumi.Context, cluster.Access) (cluster.Approval, error) {
		return cluster.Approval{Kubeconfig: pulumi.String("its kubeconfig"), Versions: versions}, nil
	}, func(context.Context, map[string]string, authn.Authenticator) map[string]bool { return nil },
		stubbed)
}

// The old server stops after a backup, and the new one starts after the data
// was moved.
func TestADatabaseMovesInOrder(t *testing.T) {
	moving := cluster.Version{Image: "postgres:18", Template: "data-18", OldImage: "postgres:17",
		OldClaim: "data-postgres-ss-0", Rehearses: true}
	stays := cluster.Version{Image: "postgres:17", Template: "data"}
	recording := recorder.Run(t, withVersions(map[string]cluster.Version{"pingpong": moving, "todo": stays}),
		settings(t, map[string]string{"databases": `[{"name": "pingpong", "image": "postgres:18"}]`}))

	newImage := "registry.example.com/team/backup-postgres-18:dev@" + recorder.Digest
	oldImage := "registry.example.com/team/backup-postgres-17:dev@" + recorder.Digest
	job := recorder.Object[*batchv1.Job](recording, "pingpong-upgrade-job").Spec.Template.Spec
	require.Equal(t, "parameters", job.InitContainers[0].Name)
	require.Equal(t, "registry.example.com/team/postgres-postgres-18:dev@"+recorder.Digest,
		job.InitContainers[0].Image)
	require.Equal(t, oldImage, job.Containers[0].Image, "a newer pg_dump may write what no server takes")

	for _, recorded := range recording.All() {
		if recorded.URN.Name() == "pingpong-postgres-statefulset" {
			require.Contains(t, recorded.DependsOn(), "pingpong-upgrade-job")
		}
	}
	set := recorder.Object[*appsv1.StatefulSet](recording, "pingpong-postgres-statefulset")
	require.Equal(t, "data-18", set.Spec.VolumeClaimTemplates[0].Name)
	pod := set.Spec.Template.Spec
	var order []string
	for _, container := range pod.InitContainers {
		order = append(order, container.Name+" "+container.Image)
		require.Contains(t, container.VolumeMounts, corev1.VolumeMount{Name: "data-18", MountPath: "/data"})
	}
	server := "registry.example.com/team/postgres-postgres-18:dev@" + recorder.Digest
	require.Equal(t, []string{"move-out " + oldImage, "setup " + server, "move-in " + newImage}, order)
	require.Contains(t, pod.InitContainers[0].VolumeMounts, corev1.VolumeMount{Name: "old", MountPath: "/old"})
	for _, container := range pod.InitContainers[1:] {
		require.NotContains(t, container.VolumeMounts, corev1.VolumeMount{Name: "old", MountPath: "/old"})
	}
	require.Equal(t, "postgres:18", set.Annotations["stateful-k3s/postgres-image"])
	require.Equal(t, "postgres:17", set.Annotations["stateful-k3s/postgres-old-image"])

	todo := recorder.Object[*appsv1.StatefulSet](recording, "todo-postgres-statefulset")
	require.Equal(t, "data", todo.Spec.VolumeClaimTemplates[0].Name)
	require.Len(t, todo.Spec.Template.Spec.InitContainers, 1)
	require.NotContains(t, strings.Join(recording.Names(), "\n"), "todo-upgrade-job")

	moving.Rehearses = false
	recording = recorder.Run(t, withVersions(map[string]cluster.Version{"pingpong": moving, "todo": stays}),
		settings(t, nil))
	require.NotContains(t, strings.Join(recording.Names(), "\n"), "pingpong-upgrade-job",
		"once the old server has stopped")
}

// CloudNativePG upgrades when the image of the Cluster changes, which the backup comes before.
func TestAClusterIsUpgradedAfterABackup(t *testing.T) {
	moving := cluster.Version{Image: "postgres:18", OldImage: "postgres:17", Rehearses: true}
	recording := recorder.Run(t, withVersions(map[string]cluster.Version{"pingpong": moving}),
		settings(t, map[string]string{"engine": "cloudnative-pg", "archive": "false",
			"postgresParameters": "work_mem=8MB"}))
	job := recorder.Object[*batchv1.Job](recording, "pingpong-upgrade-job").Spec.Template.Spec
	require.Equal(t, "registry.example.com/team/backup-postgres-17:dev@"+recorder.Digest,
		job.Containers[0].Image, "a newer pg_dump may write what no server takes")
	require.Equal(t, []string{"prepare-upgrade"}, job.Containers[0].Args)
	try := job.InitContainers[0]
	require.Equal(t, "postgres:18", try.Image)
	require.Contains(t, strings.Join(try.Command, " "), " -c work_mem=8MB")
	declared := recording.Get(t, "kubernetes:postgresql.cnpg.io/v1:Cluster", "pingpong-postgres-cluster")
	require.Contains(t, declared.DependsOn(), "pingpong-upgrade-job")
	pingpong := recorder.Object[*unstructured.Unstructured](recording, "pingpong-postgres-cluster")
	require.Equal(t, `["condition=Ready", "jsonpath={.status.pgDataImageInfo.majorVersion}=18"]`,
		pingpong.GetAnnotations()["pulumi.com/waitFor"], "it is ready before the upgrade begins, too")
	require.NotContains(t, strings.Join(recording.Names(), "\n"), "todo-upgrade-job")

	again := recorder.Run(t, withVersions(map[string]cluster.Version{"pingpong": moving}),
		settings(t, map[string]string{"engine": "cloudnative-pg", "archive": "false"}))
	require.NotEqual(t, job.Containers[0].Env,
		recorder.Object[*batchv1.Job](again, "pingpong-upgrade-job").Spec.Template.Spec.Containers[0].Env,
		"clients write after the backup of an update that is interrupted")
}

func TestAPreviewWithoutTheClusterKeepsTheVersion(t *testing.T) {
	old := recorder.Run(t, withoutCluster, settings(t, map[string]string{"postgresImage": "postgres:17"}))
	again := recorder.Run(t, withoutCluster, settings(t, nil), recorder.Last(old.Outputs("")))
	set := recorder.Object[*appsv1.StatefulSet](again, "todo-postgres-statefulset")
	require.Equal(t, "postgres:17", set.Annotations["stateful-k3s/postgres-image"])
}

package backup_test

import (
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/backup"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

func latest(args *backup.Args) { args.Restore = &backup.Restore{From: "latest"} }

// replaced restores an encrypted backup over what there is.
func replaced(args *backup.Args) {
	args.Restore = &backup.Restore{From: "20261122T020000Z-1a2b3c", Over: true,
		Identity: pulumi.String("the-identity")}
}

func TestRestoreHasTheseParts(t *testing.T) {
	further := []string{
		"todos-restore-bucket-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
		"todos-restore-bucket-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
		"todos-restore-database-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
		"todos-restore-database-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
		"todos-restore-job kubernetes:batch/v1:Job",
		"todos-restore-request pulumi:index:Stash",
	}
	require.ElementsMatch(t, append(slices.Clone(parts), further...), declared(recorder.Run(t, program(latest))))
	require.ElementsMatch(t, append(slices.Clone(parts),
		append(further, "todos-restore-secret kubernetes:core/v1:Secret")...),
		declared(recorder.Run(t, program(replaced))))
}

// It does what the Job backup does before it replaces anything, so it has all that that has.
func TestPodOfTheRestore(t *testing.T) {
	recording := recorder.Run(t, program(replaced))
	job := recorder.Object[*batchv1.Job](recording, "todos-restore-job")
	require.Equal(t, "alice-project", job.Namespace)
	require.Equal(t, "restore", job.Name)
	require.Equal(t, "restore", job.Spec.Template.Labels["app"])
	want := recorder.Object[*batchv1.Job](recording, "todos-job").Spec
	require.Equal(t, want.ActiveDeadlineSeconds, job.Spec.ActiveDeadlineSeconds)
	require.Equal(t, ptr.To[int32](0), job.Spec.BackoffLimit)

	pod := want.Template.Spec
	pod.Volumes[3].Secret.Items = []corev1.KeyToPath{{Key: "RESTORER_URL", Path: "URL"},
		{Key: "ca.crt", Path: "ca.crt"}}
	pod.Volumes = append(pod.Volumes,
		corev1.Volume{Name: "identity", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: "restore", DefaultMode: ptr.To[int32](0o444),
			Items: []corev1.KeyToPath{{Key: "identity", Path: "identity"}},
		}}})
	pod.Containers[0].Args = []string{"restore"}
	pod.Containers[0].VolumeMounts = append(pod.Containers[0].VolumeMounts,
		corev1.VolumeMount{Name: "identity", MountPath: "/run/secrets/restore", ReadOnly: true})
	pod.Containers[0].Env = append(pod.Containers[0].Env,
		corev1.EnvVar{Name: "RESTORE_FROM", Value: "20261122T020000Z-1a2b3c"},
		corev1.EnvVar{Name: "RESTORE_REQUEST", Value: mark(t, recording)},
		corev1.EnvVar{Name: "RESTORE_OVER", Value: "todo"},
		corev1.EnvVar{Name: "AGE_IDENTITY_FILE", Value: "/run/secrets/restore/identity"},
	)
	require.Equal(t, pod, job.Spec.Template.Spec)
	require.Equal(t, map[string][]byte{"identity": []byte("the-identity")},
		recorder.Object[*corev1.Secret](recording, "todos-restore-secret").Data)
	recording.RequireSecret(t, "the-identity")

	for _, variable := range recorder.Object[*batchv1.Job](recorder.Run(t, program(latest)),
		"todos-restore-job").Spec.Template.Spec.Containers[0].Env {
		require.NotContains(t, []string{"RESTORE_OVER", "AGE_IDENTITY_FILE"}, variable.Name)
	}
}

// As long as the setting stays, what is asked for is the same. Taken away and set again, it is not.
func TestEachRequestForARestoreHasAMarkOfItsOwn(t *testing.T) {
	marks := map[string]bool{}
	for range 2 {
		recording := recorder.Run(t, program(latest))
		marks[mark(t, recording)] = true
		request := recording.Get(t, "pulumi:index:Stash", "todos-restore-request").Request
		require.Equal(t, []string{"input"}, request.GetIgnoreChanges())
		require.Equal(t, "latest", request.GetReplacementTrigger().GetStringValue())
	}
	require.Len(t, marks, 2)
}

func mark(t *testing.T, recording *recorder.Recording) string {
	t.Helper()
	stash := recording.Get(t, "pulumi:index:Stash", "todos-restore-request")
	return stash.Inputs["input"].SecretValue().Element.StringValue()
}

func TestRestoreComesBeforeAllThatUseTheDatabase(t *testing.T) {
	recording := recorder.Run(t, program(replaced))
	dependencies := func(name string) []string {
		return recording.Get(t, "kubernetes:batch/v1:Job",
			name).DependsOn()
	}
	require.Subset(t, dependencies("todos-restore-job"),
		[]string{"db-statefulset", "store-statefulset", "todos-secret", "todos-restore-secret"})
	require.Contains(t, dependencies("todos-job"), "todos-restore-job")
}

func TestConnectionsOfTheRestore(t *testing.T) {
	recording := recorder.Run(t, program(latest))
	job := kubetest.Label("app", "restore")
	kubetest.RequireConnection(t, recording, "todos-restore-database", "alice-project", job,
		kubetest.Label("app", "postgres"), 5432)
	kubetest.RequireConnectionInto(t, recording, "todos-restore-bucket", "alice-project", "alice-storage", job,
		kubetest.Label("app", "storage"), 9000)
}

func TestErrorsOfTheRestore(t *testing.T) {
	recorder.RequireErrors(t, program(replaced), map[string]string{
		"todos-restore-request":         "backup todos: declaring random id todos-restore-request: ",
		"todos-restore-secret":          "backup todos: declaring secret restore: ",
		"todos-restore-database-egress": "backup todos: declaring network policy todos-restore-database-egress: ",
		"todos-restore-bucket-ingress":  "backup todos: declaring network policy todos-restore-bucket-ingress: ",
		"todos-restore-job":             "backup todos: declaring job restore: ",
	})
	_, err := recorder.Try(t, program(func(args *backup.Args) { args.Restore = &backup.Restore{} }))
	require.ErrorContains(t, err, "backup todos: Restore.From is required")
}

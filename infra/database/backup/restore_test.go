package backup_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/database/backup"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

func latest(args *backup.Args) { args.Restore = &backup.Restore{From: pulumi.String("latest")} }

// replace restores an encrypted backup over a database that holds something.
func replace(args *backup.Args) {
	args.Restore = &backup.Restore{
		From: pulumi.String("20261122T020000Z-1a2b3c"), Over: true, Identity: pulumi.String("the-identity"),
	}
}

// A restore first backs up what it replaces, so its pod has everything that a backup's pod has.
func TestRestoreCanBackUp(t *testing.T) {
	recording := recorder.Run(t, program(replace))
	backup, restore := jobOf(recording, "todos-job"), jobOf(recording, "todos-restore-job")
	require.Equal(t, backup.ActiveDeadlineSeconds, restore.ActiveDeadlineSeconds)
	require.Equal(t, backup.Template.Spec.InitContainers, restore.Template.Spec.InitContainers)
	has, needs := restore.Template.Spec.Containers[0], backup.Template.Spec.Containers[0]
	require.Subset(t, has.Env, needs.Env)
	require.Subset(t, has.VolumeMounts, needs.VolumeMounts)
	require.Equal(t, needs.Resources, has.Resources)
	recording.RequireSecret(t, "the-identity")
}

// The id stays while the setting stays. Once the setting was removed, the next restore has a new one.
func TestEachRequestForARestoreHasAnIDOfItsOwn(t *testing.T) {
	ids := map[string]bool{}
	for range 2 {
		stash := recorder.Run(t, program(latest)).Get(t, "pulumi:index:Stash", "todos-restore-request")
		ids[stash.Inputs["input"].SecretValue().Element.StringValue()] = true
		require.Equal(t, []string{"input"}, stash.Request.GetIgnoreChanges())
		require.Equal(t, "latest", stash.Request.GetReplacementTrigger().GetStringValue())
	}
	require.Len(t, ids, 2)
}

func TestRestoreComesBeforeTheFirstBackup(t *testing.T) {
	recording := recorder.Run(t, program(replace))
	for name, needs := range map[string][]string{
		"todos-restore-job": {"db-statefulset", "store-statefulset", "todos-secret", "todos-restore-secret"},
		"todos-job":         {"todos-restore-job"},
	} {
		require.Subset(t, recording.Get(t, "kubernetes:batch/v1:Job", name).DependsOn(), needs, name)
	}
}

func TestErrorsOfTheRestore(t *testing.T) {
	recorder.RequireErrors(t, program(replace), map[string]string{
		"todos-restore-request":         "backup todos: declaring random id todos-restore-request: ",
		"todos-restore-secret":          "backup todos: declaring secret restore: ",
		"todos-restore-database-egress": "backup todos: declaring network policy todos-restore-database-egress: ",
		"todos-restore-bucket-ingress":  "backup todos: declaring network policy todos-restore-bucket-ingress: ",
		"todos-restore-job":             "backup todos: declaring job restore: ",
	})
	_, err := recorder.Try(t, program(func(args *backup.Args) { args.Restore = &backup.Restore{} }))
	require.ErrorContains(t, err, "backup todos: Restore.From is required")
}

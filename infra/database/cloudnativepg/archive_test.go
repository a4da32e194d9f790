package cloudnativepg_test

import (
	"context"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stateful-k3s/stateful-k3s/infra/database/cloudnativepg"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

// archived makes the servers archive to a bucket elsewhere.
func archived(args *cloudnativepg.Args) {
	args.Args.Archive = &statefulset.Archive{
		Bucket: storage.Bucket{
			Endpoint: pulumi.String("https://s3.example.com"), Region: pulumi.String("eu-north-1"),
			Name: pulumi.String("attic"), Prefix: pulumi.String("house"), PathStyle: true,
			AccessKey: pulumi.String("the access key"), SecretKey: pulumi.String("the secret key"),
			Authorities: pulumi.String("the authority"), Networks: kube.Internet,
		},
		Folder: pulumi.String("alice-exercises"), Timeout: 90 * time.Second, KeepDays: 14,
	}
	args.Settings.Archive = &cloudnativepg.Archive{Name: "postgres-1", Schedule: "0 2 * * *"}
}

func recovering(until time.Time) func(*cloudnativepg.Args) {
	return func(args *cloudnativepg.Args) {
		archived(args)
		args.Settings.Archive.Recovery = &cloudnativepg.Recovery{From: "postgres-0", Until: until}
	}
}

func object(t *testing.T, recording *recorder.Recording, name string) map[string]any {
	t.Helper()
	return recorder.Object[*unstructured.Unstructured](recording, name).Object
}

func TestArchiveOfTheServers(t *testing.T) {
	recording := recorder.Run(t, program(archived))
	servers := object(t, recording, "pings-cluster")
	require.Equal(t, []any{map[string]any{"name": "barman-cloud.cloudnative-pg.io", "isWALArchiver": true,
		"parameters": map[string]any{"barmanObjectName": "postgres", "serverName": "postgres-1"}}},
		field(t, servers, "spec.plugins"))
	require.Equal(t, "90s", field(t, servers, "spec.postgresql.parameters").(map[string]any)["archive_timeout"])
	require.Equal(t, "enabled",
		field(t, servers, "metadata.annotations").(map[string]any)["cnpg.io/skipEmptyWalArchiveCheck"])

	store := object(t, recording, "pings-store")
	require.Equal(t, "14d", field(t, store, "spec.retentionPolicy"))
	require.Contains(t, field(t, store, "spec.instanceSidecarConfiguration.env"),
		map[string]any{"name": "AWS_MAX_ATTEMPTS", "value": "2"}, "a failover waits for a store that is away")
	key := func(name string) map[string]any { return map[string]any{"name": "postgres-archive", "key": name} }
	require.Equal(t, map[string]any{
		"destinationPath": "s3://attic/house/alice-exercises/barman", "endpointURL": "https://s3.example.com",
		"endpointCA":    key("ca.crt"),
		"s3Credentials": map[string]any{"accessKeyId": key("access-key"), "secretAccessKey": key("secret-key")},
		"wal":           map[string]any{"compression": "gzip"}, "data": map[string]any{"compression": "gzip"},
	}, field(t, store, "spec.configuration"))
	secret := recorder.Object[*corev1.Secret](recording, "pings-archive")
	require.Equal(t, "the secret key", string(secret.Data["secret-key"]))

	base := object(t, recording, "pings-base-backups")
	require.Equal(t, "0 0 2 * * *", field(t, base, "spec.schedule"), "the first field is seconds")
	require.Equal(t, true, field(t, base, "spec.immediate"))
	require.Equal(t, "postgres-1", field(t, base, "metadata.name"), "a new Cluster's first one is immediate too")
	recorded := recording.Get(t, "kubernetes:postgresql.cnpg.io/v1:Cluster", "pings-cluster")
	require.Contains(t, recorded.DependsOn(), "pings-store")
}

// The first base backup of servers that ran without the plugin would fail before they all have it.
func TestBaseBackupsWaitForThePlugin(t *testing.T) {
	waited := false
	recording := recorder.Run(t, program(func(args *cloudnativepg.Args) {
		archived(args)
		args.Settings.Archive.Await = func(context.Context) error {
			waited = true
			return nil
		}
	}))
	require.True(t, waited)
	require.Equal(t, "postgres-1", field(t, object(t, recording, "pings-base-backups"), "metadata.name"))
}

// All servers get the plugin if nothing else changes for them.
func TestArchivingChangesNoParameter(t *testing.T) {
	parameters := func(change func(*cloudnativepg.Args)) any {
		recording := recorder.Run(t, program(func(args *cloudnativepg.Args) {
			args.ArchiveTimeout = 90 * time.Second
			change(args)
		}))
		return field(t, object(t, recording, "pings-cluster"), "spec.postgresql.parameters")
	}
	require.Equal(t, parameters(func(*cloudnativepg.Args) {}), parameters(archived))
}

// A database as it was comes to life beside the one that is, in a Cluster that archives nothing.
func TestRecoveryOfTheServers(t *testing.T) {
	recording := recorder.Run(t, program(recovering(time.Date(2026, 11, 30, 16, 22, 50, 0, time.UTC))))
	recovered := object(t, recording, "pings-recovered")
	require.Equal(t, "postgres-20261130t162250z", field(t, recovered, "metadata.name"))
	require.Equal(t, map[string]any{"recovery": map[string]any{"source": "archive", "database": "pingpong",
		"owner": "pingpong", "secret": map[string]any{"name": "postgres-owner"},
		"recoveryTarget": map[string]any{"targetTime": "2026-11-30T16:22:50Z"}}},
		field(t, recovered, "spec.bootstrap"))
	require.Equal(t, []any{map[string]any{"name": "archive", "plugin": map[string]any{
		"name":       "barman-cloud.cloudnative-pg.io",
		"parameters": map[string]any{"barmanObjectName": "postgres", "serverName": "postgres-0"}}}},
		field(t, recovered, "spec.externalClusters"))
	require.NotContains(t, field(t, recovered, "spec"), "plugins")
	require.Equal(t, float64(1), field(t, recovered, "spec.instances"))
	require.Equal(t, "postgres-recovered",
		field(t, recovered, "spec.inheritedMetadata.labels").(map[string]any)["app"], "no client reaches it")
	recorded := recording.Get(t, "kubernetes:postgresql.cnpg.io/v1:Cluster", "pings-recovered")
	require.False(t, recorded.Request.GetRetainOnDelete())

	require.Equal(t, "todo-postgres-20261130t162250-25z",
		cloudnativepg.RecoveredName("todo-", time.Date(2026, 11, 30, 16, 22, 50, 250e6, time.UTC)))

	end := object(t, recorder.Run(t, program(recovering(time.Time{}))), "pings-recovered")
	require.Equal(t, "postgres-end", field(t, end, "metadata.name"))
	require.NotContains(t, field(t, end, "spec.bootstrap.recovery"), "recoveryTarget")
}

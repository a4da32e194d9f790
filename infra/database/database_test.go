package database_test

import (
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/database"
	"github.com/stateful-k3s/stateful-k3s/infra/database/backup"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// program declares databases with the prefixes in one namespace.
func program(prefixes ...string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		store, err := kubetest.NewStorage(ctx, "alice-shop")
		if err != nil {
			return err
		}
		namespace, err := kube.NewNamespace(ctx, "shop", kube.NamespaceArgs{Name: "alice-shop"})
		if err != nil {
			return err
		}
		for _, prefix := range prefixes {
			_, err := database.New(ctx, prefix+"db", database.Args{
				Namespace: namespace,
				Name:      "shop",
				Prefix:    prefix,
				Images: database.Images{Server: pulumi.String("postgres:17"), Exporter: pulumi.String("exporter"),
					Backup: pulumi.String("backup")},
				Bucket: store.Bucket("alice-shop"),
				Folder: pulumi.String(prefix + "folder"),
				Server: statefulset.Settings{StorageClass: "local-path", StorageSize: "1Gi", Memory: "512Mi"},
				Backup: backup.Settings{Schedule: "0 2 * * *", TimeZone: "Etc/UTC", KeepDaily: 7, ScratchSize: "4Gi",
					Memory: "512Mi", Compression: 3, Timeout: time.Hour},
				Archive: &database.Archive{Timeout: time.Minute, KeepDays: 7},
				Restore: &backup.Restore{From: pulumi.String("latest")},
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// Databases of one namespace share no object, and no label that selects their servers.
func TestDatabasesOfOneNamespaceAreApart(t *testing.T) {
	recording := recorder.Run(t, program("", "books-", "old-books-"))
	seen := map[string]string{}
	for _, recorded := range recording.All() {
		object, is := recorded.Object.(metav1.Object)
		if !is {
			continue
		}
		name := string(recorded.URN.Type().Name()) + " " + object.GetNamespace() + "/" + object.GetName()
		require.Empty(t, seen[name], "%s is also %s", recorded.URN, seen[name])
		seen[name] = string(recorded.URN)
	}
	servers := map[string]string{}
	for name, set := range map[string]string{
		"db-postgres": "postgres-ss", "books-db-postgres": "books-postgres-ss",
		"old-books-db-postgres": "old-books-postgres-ss",
	} {
		declared := recorder.Object[*appsv1.StatefulSet](recording, name+"-statefulset")
		require.Equal(t, set, declared.Name)
		servers[declared.Spec.Selector.MatchLabels["app"]] = name
	}
	require.Len(t, servers, 3, "labels that select servers")
}

// Server and backups take over what they were when they had no parent. Pulumi lets their children follow.
func TestPartsKeepTheirFormerState(t *testing.T) {
	recording := recorder.Run(t, program(""))
	for _, part := range []struct{ name, token, formerToken string }{
		{"db-postgres", "stateful-k3s:statefulset:Server", "stateful-k3s:postgres:Postgres"},
		{"db-backup", "stateful-k3s:backup:Backup", "stateful-k3s:backup:Backup"},
	} {
		aliases := recording.Get(t, part.token, part.name).Request.GetAliases()
		require.NotEmpty(t, aliases, part.name)
		require.Equal(t, part.formerToken, aliases[0].GetSpec().GetType(), part.name)
		require.True(t, aliases[0].GetSpec().GetNoParent(), part.name)
	}
}

func TestErrorsNameTheDatabase(t *testing.T) {
	recorder.RequireErrors(t, program(""), map[string]string{
		"db":          "declaring database db: ",
		"db-postgres": "database db: declaring postgres db-postgres: ",
		"db-backup":   "database db: declaring backup db-backup: ",
	})
	_, err := recorder.Try(t, func(ctx *pulumi.Context) error {
		_, err := database.New(ctx, "db", database.Args{})
		return err
	})
	require.ErrorContains(t, err, "database db: Namespace is required")
}

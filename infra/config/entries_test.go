package config

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/database/backup"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// A database takes each setting from its entry, or else the one of all databases.
func TestEntriesAndSettingsOfAllDatabases(t *testing.T) {
	noEnvironment(t)
	all := settings{
		"postgresImage": "postgres:18", "storageClass": "longhorn", "postgresStorageSize": "3Gi",
		"postgresMemory": "1Gi", "postgresParameters": "jit=off", "restoreFrom": "end", "restoreOver": "shop todo",
		"backupSchedule": "1 1 * * *", "backupTimeZone": "Europe/Berlin", "backupKeepDaily": "1",
		"backupKeepWeekly": "2", "backupKeepMonthly": "3", "backupScratchSize": "5Gi", "backupMemory": "300Mi",
		"backupCompression": "4", "backupTimeout": "2h", "archiveTimeout": "10s", "archiveKeepDays": "30",
		"secretVersions": "a-b-owner=2; storage-apps_shop-key=3; storage-project-key=4",
	}
	entry := shop(`"image": "mine/pg:17", "storageClass": "fast", "storageSize": 1073741824, "memory": "256Mi",
		"parameters": {"work_mem": "8MB", "a.b": 1, "jit": true}, "restoreFrom": "2026-11-22 14:05:00 +0000 UTC",
		"restoreOver": false, "schedule": "2 2 * * *", "timeZone": "Etc/UTC", "keepDaily": 4, "keepWeekly": "5",
		"keepMonthly": 6, "scratchSize": "6Gi", "backupMemory": "400Mi", "compression": 5, "backupTimeout": "3h",
		"archive": false, "archiveTimeout": "20s", "archiveKeepDays": 31`)
	list := []string{entry, `{"name": "todo", "restoreFrom": "", "restoreOver": false, "archive": "true"}`,
		`{"name": "a-b", "namespace": "project", "archive": true, "archiveTimeout": "15s", "parameters": ""}`}

	var first *Config
	for range 2 {
		slices.Reverse(list)
		changes := maps.Clone(all)
		changes["databases"] = "[" + strings.Join(list, ", ") + "]"
		cfg, err := load(t, changes)
		require.NoError(t, err)
		for i := range cfg.Databases {
			cfg.Databases[i].entry, cfg.Databases[i].sizeKey, cfg.Databases[i].ownImage = "", "", false
			cfg.Databases[i].ownArchive, cfg.Databases[i].restoreFrom = false, ""
		}
		if first == nil {
			first = cfg
		}
		require.Equal(t, first, cfg, "the order means nothing")
	}

	databases := first.Databases
	var names []string
	for _, d := range databases {
		names = append(names, d.Name+" "+d.Account("alice-"+d.Namespace)+" "+d.Prefix()+" "+d.DatabaseName())
	}
	require.Equal(t, []string{"a-b alice-project_a-b a-b- a_b", "pingpong alice-exercises  pingpong",
		"shop alice-apps_shop shop- shop", "todo alice-project  todo"}, names)
	require.Equal(t, Database{
		Name: "shop", Namespace: "apps", Engine: "statefulset", Instances: 3, Image: "mine/pg:17",
		Server: statefulset.Settings{StorageClass: "fast",
			StorageSize: "1073741824", Memory: "256Mi",
			Parameters: statefulset.Parameters{"work_mem": "8MB", "a.b": "1", "jit": "true"}},
		Backup: backup.Settings{Schedule: "2 2 * * *", TimeZone: "Etc/UTC", KeepDaily: 4, KeepWeekly: 5,
			KeepMonthly: 6, ScratchSize: "6Gi", Memory: "400Mi", Compression: 5, Timeout: 3 * time.Hour},
		ArchiveTimeout: 20 * time.Second,
		Restore:        &backup.Restore{From: pulumi.String("2026-11-22T14:05:00Z")},
	}, databases[2])

	require.Equal(t, Database{
		Name: "pingpong", Namespace: "exercises", BuiltIn: true, Engine: "statefulset", Instances: 3,
		Image: "postgres:18",
		Server: statefulset.Settings{StorageClass: "longhorn",
			StorageSize: "3Gi", Memory: "1Gi", Parameters: statefulset.Parameters{"jit": "off"}},
		Backup: backup.Settings{Schedule: "1 1 * * *", TimeZone: "Europe/Berlin", KeepDaily: 1, KeepWeekly: 2,
			KeepMonthly: 3, ScratchSize: "5Gi", Memory: "300Mi", Compression: 4, Timeout: 2 * time.Hour},
		Archive: databases[1].Archive, ArchiveTimeout: 10 * time.Second,
		Restore: &backup.Restore{From: pulumi.String("end")},
	}, databases[1])
	require.Equal(t, 10*time.Second, databases[1].Archive.Timeout)
	require.Equal(t, 30, databases[1].Archive.KeepDays)

	require.Equal(t, 15*time.Second, databases[0].Archive.Timeout)
	require.Empty(t, databases[0].Server.Parameters)
	require.Equal(t, kube.Versions{"owner": "1 2"}, databases[0].Server.SecretVersions)
	require.Equal(t, kube.Versions{"apps_shop-key": "1 3", "project-key": "1 4"},
		first.SecretVersions["storage"])
	require.Nil(t, databases[3].Restore)
	require.NotNil(t, databases[3].Archive)
}

func TestRestoreOverOfAnEntryAndOfAll(t *testing.T) {
	noEnvironment(t)
	cfg, err := load(t, settings{"restoreFrom": "latest", "restoreOver": "shop",
		"databases": `[` + shop("") + `, {"name": "todo", "restoreOver": true}]`})
	require.NoError(t, err)
	over := map[string]bool{}
	for _, d := range cfg.Databases {
		over[d.Name] = d.Restore.Over
	}
	require.Equal(t, map[string]bool{"pingpong": false, "shop": true, "todo": true}, over)
}

func TestNoEntries(t *testing.T) {
	noEnvironment(t)
	for _, none := range []string{"[]", "null"} {
		cfg, err := load(t, settings{"databases": none})
		require.NoError(t, err)
		require.Len(t, cfg.Databases, len(builtIn))
	}
}

// Each field without a description means the same as a setting of all databases.
func TestFieldsAreDocumented(t *testing.T) {
	for _, field := range Fields {
		require.NotEqual(t, "", field.Shared+field.Description, field.Name)
		if field.Shared != "" {
			require.Contains(t, recorder.LoadProject(t).Config, field.Shared)
		}
	}
}

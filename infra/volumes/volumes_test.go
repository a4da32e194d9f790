package volumes_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/volumes"
)

// program runs with the defaults and a change.
func program(change func(*volumes.Settings)) pulumi.RunFunc {
	settings := volumes.Settings{
		Namespaces:   map[string]string{"exercises": "exercises", "project": "project", "storage": "storage"},
		Owner:        "organization.dev",
		StorageClass: "local-path",
		Databases:    map[string]string{"todo": "project/data-postgres-ss-0"},
	}
	change(&settings)
	return func(ctx *pulumi.Context) error {
		last, err := volumes.Last(ctx)
		if err != nil {
			return err
		}
		return volumes.Export(ctx, last, settings)
	}
}

func unchanged(*volumes.Settings) {}

func TestFirstUpSaysNothing(t *testing.T) {
	require.Empty(t, recorder.Run(t, program(unchanged)).Logs())
}

func TestChangesAreToldToTheUser(t *testing.T) {
	const (
		left = "Namespaces that are not used any more: exercises, project and storage. They stay, with the data " +
			`in their claims, and are used again when namePrefix is "" again. ` +
			"To delete them for good: kubectl delete namespace exercises project storage"
		class = "storageClass: new claims are of longhorn. Existing claims stay in local-path, with their data. " +
			"To move a database, let it start with a new claim and restore it from the archive: docs/bad-day.md"
	)
	prefix := func(s *volumes.Settings) {
		s.Namespaces = map[string]string{
			"exercises": "alice-exercises", "project": "alice-project", "storage": "alice-storage",
		}
	}
	for name, test := range map[string]struct {
		change func(*volumes.Settings)
		logs   []string
	}{
		"nothing": {unchanged, nil},
		"prefix":  {prefix, []string{left}},
		"backups elsewhere": {func(s *volumes.Settings) { delete(s.Namespaces, "storage") }, []string{
			"Namespaces that are not used any more: storage. They stay, with the data in their claims, and are used " +
				"again when s3Endpoint is removed. To delete them for good: kubectl delete namespace storage",
		}},
		"no database there": {func(s *volumes.Settings) { delete(s.Namespaces, "project") }, []string{
			"Namespaces that are not used any more: project. They stay, with the data in their claims, and are used " +
				"again when a database is in project again. To delete them for good: kubectl delete namespace project",
		}},
		"name": {func(s *volumes.Settings) { s.Owner = "organization.prod" }, []string{
			"The stack was organization.dev, and is organization.prod now. It keeps its namespaces, with all data.",
		}},
		"storage class": {func(s *volumes.Settings) { s.StorageClass = "longhorn" }, []string{class}},
		"database": {func(s *volumes.Settings) { s.Databases = nil }, []string{
			"The database todo is not in the settings any more. Its claim data-postgres-ss-0 in the namespace " +
				"project and its backups stay, and are used again when its entry is back. To delete the data for good: " +
				"kubectl -n project delete pvc data-postgres-ss-0",
		}},
		"engine": {func(s *volumes.Settings) {
			s.Engines = map[string]string{"todo": "cloudnative-pg"}
			s.Databases = map[string]string{"todo": "project/postgres"}
		}, []string{"The database todo has the engine cloudnative-pg now. Its claim data-postgres-ss-0 in the " +
			"namespace project and its backups stay, and hold what it was before. To delete the data for good: " +
			"kubectl -n project delete pvc data-postgres-ss-0"}},
		"all": {func(s *volumes.Settings) {
			prefix(s)
			s.StorageClass = "longhorn"
		}, []string{left, class}},
	} {
		t.Run(name, func(t *testing.T) {
			last := recorder.Last(recorder.Run(t, program(unchanged)).Outputs(""))
			require.Equal(t, test.logs, recorder.Run(t, program(test.change), last).Logs())
			require.Equal(t, test.logs, recorder.Run(t, program(test.change), last, recorder.Preview()).Logs())
		})
	}
}

// The servers of CloudNativePG run on, whatever becomes of the stack.
func TestServersThatRunOnAreToldToTheUser(t *testing.T) {
	several := func(s *volumes.Settings) {
		s.Engines = map[string]string{"todo": "cloudnative-pg"}
		s.Databases = map[string]string{"todo": "project/postgres"}
	}
	const stop = "kubectl -n project annotate clusters.postgresql.cnpg.io postgres --overwrite " +
		"cnpg.io/hibernation=on"
	outputs := recorder.Run(t, program(several)).Outputs("")
	require.Contains(t, outputs["data"].StringValue(), "pulumi destroy leaves them running: to stop them, "+stop)
	require.Empty(t, recorder.Run(t, program(several), recorder.Last(outputs)).Logs())
	for what, change := range map[string]func(*volumes.Settings){
		"has the engine statefulset now":  unchanged,
		"is not in the settings any more": func(s *volumes.Settings) { s.Databases = nil },
	} {
		logs := recorder.Run(t, program(change), recorder.Last(outputs)).Logs()
		require.Len(t, logs, 1)
		require.Contains(t, logs[0], "The database todo "+what+". Its Cluster postgres in the namespace project ")
		require.Contains(t, logs[0], "To stop it: "+stop+". To delete the data for good: kubectl -n project "+
			"delete clusters.postgresql.cnpg.io postgres")
	}
}

func TestErrorOfTheLastOutputs(t *testing.T) {
	elsewhere := func(info *pulumi.RunInfo) { info.Stack = "elsewhere" }
	_, err := recorder.Try(t, program(unchanged), recorder.RunInfo(elsewhere))
	require.ErrorContains(t, err, "reading the outputs of the last up: ")
}

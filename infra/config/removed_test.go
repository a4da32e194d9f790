package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// removedSettings are settings of earlier versions, and what is said of them, without the project's name.
var removedSettings = []struct {
	settings settings
	messages []string
}{
	{settings{"pingpongRestoreFrom": "latest", "todoRestoreFrom": "it's", "databases": `[` + shop("") + `]`},
		[]string{movedRestore("pingpongRestoreFrom") + set("databases[1].name", "pingpong") + " && " +
			set("databases[1].restoreFrom", "latest") + " && pulumi config rm pingpongRestoreFrom",
			movedRestore("todoRestoreFrom") + set("databases[2].name", "todo") + " && " +
				set("databases[2].restoreFrom", `'it'\''s'`) + " && pulumi config rm todoRestoreFrom"}},
	{settings{"todoRestoreFrom": "end", "databases": `[{"name": "todo"}]`}, []string{
		movedRestore("todoRestoreFrom") + set("databases[0].restoreFrom", "end") +
			" && pulumi config rm todoRestoreFrom"}},
	{settings{"pingpongRestoreFrom": "", "todoRestoreFrom": "end",
		"databases": `[{"name": "todo", "restoreFrom": "latest"}]`}, []string{
		movedRestore("pingpongRestoreFrom") + "pulumi config rm pingpongRestoreFrom",
		movedRestore("todoRestoreFrom") + "pulumi config rm todoRestoreFrom"}},

	{settings{"redisPasswordVersion": "1", "storageTLSVersion": "1"}, []string{
		movedVersion("redisPasswordVersion") + rm("redisPasswordVersion") + " && " + rm("storageTLSVersion"),
		movedVersion("storageTLSVersion") + rm("redisPasswordVersion") + " && " + rm("storageTLSVersion")}},
	{settings{"postgresPasswordVersion": "3", "secretVersions": "todo-owner=2;"}, []string{
		movedVersion("postgresPasswordVersion") + set("secretVersions", "'todo-owner=2; postgres-passwords=3'") +
			" && " + rm("postgresPasswordVersion")}},
	{settings{"redisPasswordVersion": "2", "redisPassword": "hunter2-hunter2"}, []string{
		movedVersion("redisPasswordVersion") + rm("redisPasswordVersion")}},
	{settings{"postgresTLSVersion": "2", "secretVersions": "postgres-certificates=3"}, []string{
		movedVersion("postgresTLSVersion") + rm("postgresTLSVersion")}},
	{settings{"postgresTLSVersion": "it's"}, []string{movedVersion("postgresTLSVersion") +
		set("secretVersions", `'postgres-certificates=it'\''s'`) + " && " + rm("postgresTLSVersion")}},

	{settings{"todoPostgresPassword": "hunter2-hunter2", "namePrefix": "alice-", "ingressHost": "a.example.com"},
		[]string{movedPassword("todoPostgresPassword") + "kubectl -n alice-project create secret generic " +
			`todo-passwords --from-literal=password="$(pulumi config get todoPostgresPassword)" && ` +
			set("databases[0].name", "todo") + " && " + set("databases[0].existingSecret", "todo-passwords") +
			" && " + rm("todoPostgresPassword")}},
	{settings{"todoPostgresReaderPassword": "hunter2-hunter2", "todoPostgresPassword": "",
		"postgresPassword": "hunter2-hunter2", "databases": `[{"name": "todo"}]`}, []string{
		movedPassword("todoPostgresPassword") + readerMoved,
		movedPassword("todoPostgresReaderPassword") + readerMoved}},
	{settings{"pingpongPostgresReaderPassword": "hunter2-hunter2",
		"databases": `[{"name": "pingpong", "existingSecret": "mine"}]`}, []string{
		movedPassword("pingpongPostgresReaderPassword") + rm("pingpongPostgresReaderPassword")}},
}

var readerMoved = "kubectl -n project create secret generic todo-passwords " +
	`--from-literal=password="$(pulumi config get postgresPassword)" ` +
	`--from-literal=reader-password="$(pulumi config get todoPostgresReaderPassword)" && ` +
	set("databases[0].existingSecret", "todo-passwords") + " && " +
	rm("todoPostgresPassword") + " && " + rm("todoPostgresReaderPassword")

func movedRestore(key string) string {
	return key + ": replaced by restoreFrom of the database's entry in databases; type: "
}

func movedVersion(key string) string { return key + ": replaced by secretVersions; type: " }

func movedPassword(key string) string {
	return key + ": replaced by existingSecret of the database's entry in databases; type: "
}

func TestRemovedSettings(t *testing.T) {
	noEnvironment(t)
	for _, test := range removedSettings {
		_, err := load(t, test.settings)
		require.EqualError(t, err, "stateful-k3s:"+strings.Join(test.messages, "\nstateful-k3s:"))
	}
}

// The settings that the messages name give each secret the version that it had.
func TestVersionsStayTheSameInTheirGroups(t *testing.T) {
	noEnvironment(t)
	cfg, err := load(t, settings{"secretVersions": "redis=2; postgres-passwords=3; postgres-certificates=4; " +
		"storage-keys=5; storage-certificates=6; pingpong-owner=7; redis-password=8; todo=9; " +
		"storage=10; postgres=11"})
	require.NoError(t, err)
	require.Equal(t, map[string]kube.Versions{
		"redis": {"password": "2 8"},
		"pingpong": {"owner": "3 11 7", "reader": "3 11", "restorer": "3 11", "exporter": "3 11", "salt": "3 11",
			"certificate": "4 11"},
		"todo": {"owner": "3 11 9", "reader": "3 11 9", "restorer": "3 11 9", "exporter": "3 11 9",
			"salt": "3 11 9", "certificate": "4 11 9"},
		"storage": {"exercises-key": "5 10", "project-key": "5 10", "certificate": "6 10"},
	}, cfg.SecretVersions)
	cfg, err = load(t, settings{"secretVersions": "pingpong-owner=2; redis-password=3"})
	require.NoError(t, err)
	require.Equal(t, map[string]kube.Versions{
		"redis": {"password": "1 3"}, "pingpong": {"owner": "1 2"},
	}, cfg.SecretVersions)
}

package config

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shop is an entry with fields in addition, which may replace its own.
func shop(fields string) string {
	all := map[string]any{"name": "shop", "namespace": "apps"}
	if err := json.Unmarshal([]byte("{"+fields+"}"), &all); err != nil {
		panic(fields)
	}
	encoded, _ := json.Marshal(all)
	return string(encoded)
}

const (
	listOfExtensions = "a list of extensions with spaces between them"
	listOfPods       = "a list of pods, as NAMESPACE/LABEL=VALUE with spaces between them"
)

// wrongFields are fields of the only entry, and what is said of them, without the project's name.
var wrongFields = []struct{ fields, message string }{
	{`"name": ""`, notName("")}, {`"name": "Shop"`, notName("Shop")}, {`"name": "my shop"`, notName("my shop")},
	{`"name": "my_shop"`, notName("my_shop")}, {`"name": "2shop"`, notName("2shop")},
	{`"name": 7`, notName("7")},
	{`"name": "-shop"`, notName("-shop")}, {`"name": "shop-"`, notName("shop-")},
	{`"name": "shop\n"`, notName(`shop\n`)},
	{`"name": "` + strings.Repeat("s", 31) + `"`, notName(strings.Repeat("s", 31))},
	{`"name": "redis"`, notFree("redis")}, {`"name": "storage"`, notFree("storage")},
	{`"name": "postgres"`, notFree("postgres")}, {`"name": "reader"`, notFree("reader")},
	{`"name": "restorer"`, notFree("restorer")}, {`"name": "exporter"`, notFree("exporter")},
	{`"name": "template1"`, notFree("template1")}, {`"name": "public"`, notFree("public")},
	{`"name": "pg-shop"`, notFree("pg-shop")},
	{`"name": null`, notScalar("name")}, {`"name": ["shop"]`, notScalar("name")},

	{`"namespace": ""`, not("", "namespace", "a namespace", "apps")},
	{`"namespace": "My Apps"`, not("My Apps", "namespace", "a namespace", "apps")},
	{`"namespace": "a.b"`, not("a.b", "namespace", "a namespace", "apps")},
	{`"namespace": "storage"`, notFreeNamespace("storage")},
	{`"namespace": "kube-system"`, notFreeNamespace("kube-system")},
	{`"namespace": {}`, notScalar("namespace")},
	{`"name": "todo"`, `databases[0].namespace: "apps" is not project, where todo is; for example: ` +
		"pulumi config rm --path 'databases[0].namespace'"},

	{`"image": "postgres"`, not("postgres", "image", "an image with its version", "postgres:18")},
	{`"image": ""`, not("", "image", "an image", "postgres:18")},
	{`"image": "postgres:16"`,
		not("postgres:16", "image", "an image of PostgreSQL 17 or newer on Debian", "postgres:18")},
	{`"image": 17`, not("17", "image", "an image with its version", "postgres:18")},
	{`"storageClass": "My Class"`, not("My Class", "storageClass", "the name of a storage class", "local-path")},
	{`"storageClass": ""`, not("", "storageClass", "the name of a storage class", "local-path")},
	{`"storageSize": "1 GB"`, not("1 GB", "storageSize", "a Kubernetes quantity", "1Gi")},
	{`"storageSize": "1Mi"`, not("1Mi", "storageSize", "at least 256Mi", "1Gi")},
	{`"storageSize": 2`, not("2", "storageSize", "at least 256Mi", "1Gi")},
	{`"storageSize": "2Pi"`, not("2Pi", "storageSize", "at most 1Pi", "1Gi")},
	{`"storageSize": true`, not("true", "storageSize", "a Kubernetes quantity", "1Gi")},
	{`"storageSize": null`, notScalar("storageSize")},
	{`"extensions": "hstore, pg_trgm"`,
		not("hstore, pg_trgm", "extensions", listOfExtensions, `"hstore pg_trgm"`)},
	{`"extensions": ""`, not("", "extensions", listOfExtensions, `"hstore pg_trgm"`)},
	{`"extensions": "a\"b"`, not(`a\"b`, "extensions", listOfExtensions, `"hstore pg_trgm"`)},
	{`"existingSecret": "My Secret"`,
		not("My Secret", "existingSecret", "the name of a Secret", "shop-password")},
	{`"existingSecret": ""`, not("", "existingSecret", "the name of a Secret", "shop-password")},
	{`"clients": "app=web"`, not("app=web", "clients", listOfPods, "apps/app=web")},
	{`"clients": "apps/web"`, not("apps/web", "clients", listOfPods, "apps/app=web")},
	{`"clients": " "`, not(" ", "clients", listOfPods, "apps/app=web")},
	{`"clients": "apps/app=web, b/c=d"`, not("apps/app=web, b/c=d", "clients", listOfPods, "apps/app=web")},
	{`"memory": "lots"`, not("lots", "memory", "a Kubernetes quantity", "512Mi")},
	{`"memory": "64Mi"`, not("64Mi", "memory", "at least 128Mi", "512Mi")},
	{`"memory": 512`, not("512", "memory", "at least 128Mi", "512Mi")},
	{`"memory": ["1Gi"]`, notScalar("memory")},

	{`"parameters": "port=1"`, notParameters("port=1", "port is not yours to set")},
	{`"parameters": "work_mem"`, notParameters("work_mem", `"work_mem" has no value`)},
	{`"parameters": {"port": 1}`, notParameters("port=1", "port is not yours to set")},
	{`"parameters": {"Work Mem": "8MB"}`,
		notParameters("Work Mem=8MB", `"Work Mem" is not a parameter's name, in small letters`)},
	{`"parameters": ["jit=off"]`, notScalar("parameters")},
	{`"parameters": {"jit": null}`, notScalar("parameters.jit")},
	{`"parameters": {"a.b": {}}`, notScalar(`parameters["a.b"]`)},
	{`"parameters": {"search_path": "a;b"}`, `databases[0].parameters.search_path: "search_path=a;b" is not ` +
		"a parameter without a semicolon; to remove it: " +
		"pulumi config rm --path 'databases[0].parameters.search_path'"},
	{`"parameters": "shared_buffers=512MB"`, notFitting("512MB", "512Mi")},
	{`"parameters": {"shared_buffers": "256MB"}, "memory": "256Mi"`, notFitting("256MB", "256Mi")},
	{`"parameters": {"max_connections": "ten"}`, `databases[0].parameters: max_connections: "ten" is not ` +
		"a number; for example: pulumi config set --path 'databases[0].parameters' " +
		`"shared_buffers=128MB; max_connections=100"`},

	{`"restoreFrom": "yesterday"`, not("yesterday", "restoreFrom", restorePoints, "latest")},
	{`"restoreFrom": 2026`, not("2026", "restoreFrom", restorePoints, "latest")},
	{`"restoreFrom": "2999-01-01T00:00:00Z"`,
		not("2999-01-01T00:00:00Z", "restoreFrom", "a time in the past", "latest")},
	{`"restoreFrom": false`, not("false", "restoreFrom", restorePoints, "latest")},
	{`"restoreFrom": "end", "restoreOver": "shop"`, not("shop", "restoreOver", "true or false", "true")},
	{`"restoreFrom": "end", "restoreOver": 1`, not("1", "restoreOver", "true or false", "true")},
	{`"restoreOver": true`, `databases[0].restoreOver: set for "shop", which is restored from nothing; ` +
		"for example: pulumi config set --path 'databases[0].restoreFrom' latest, or " +
		"pulumi config rm --path 'databases[0].restoreOver'"},

	{`"schedule": "hourly"`, not("hourly", "schedule", "a cron schedule of five fields", `"0 2 * * *"`)},
	{`"schedule": "0 0 31 2 *"`,
		not("0 0 31 2 *", "schedule", "a cron schedule of a day that exists", `"0 2 * * *"`)},
	{`"schedule": 2`, not("2", "schedule", "a cron schedule of five fields", `"0 2 * * *"`)},
	{`"timeZone": "Helsinki"`, not("Helsinki", "timeZone", "a time zone", "Europe/Helsinki")},
	{`"timeZone": 2`, not("2", "timeZone", "a time zone", "Europe/Helsinki")},
	{`"keepDaily": -1`, not("-1", "keepDaily", "a number from 0 to 999", "7")},
	{`"keepDaily": "seven"`, not("seven", "keepDaily", "a number from 0 to 999", "7")},
	{`"keepDaily": 1.5`, not("1.5", "keepDaily", "a number from 0 to 999", "7")},
	{`"keepWeekly": 1000`, not("1000", "keepWeekly", "a number from 0 to 999", "4")},
	{`"keepMonthly": ""`, not("", "keepMonthly", "a number from 0 to 999", "6")},
	{`"scratchSize": "255Mi"`, not("255Mi", "scratchSize", "at least 256Mi", "4Gi")},
	{`"backupMemory": "255Mi"`, not("255Mi", "backupMemory", "at least 256Mi", "512Mi")},
	{`"compression": 20`, not("20", "compression", "a number from 1 to 19", "3")},
	{`"compression": 0`, not("0", "compression", "a number from 1 to 19", "3")},
	{`"backupTimeout": "25h"`,
		not("25h", "backupTimeout", "a time from 1m to 24h, in whole seconds", "90m")},
	{`"backupTimeout": 90`, not("90", "backupTimeout", "a time from 1m to 24h, in whole seconds", "90m")},
	{`"archive": "off"`, not("off", "archive", "true or false", "false")},
	{`"archive": 1`, not("1", "archive", "true or false", "false")},
	{`"archiveTimeout": "61m"`,
		not("61m", "archiveTimeout", "a time from 1s to 1h, in whole seconds", "60s")},
	{`"archiveKeepDays": 0`, not("0", "archiveKeepDays", "a number from 1 to 999", "7")},

	{`"Memory": "1Gi"`, noField("Memory", "memory")},
	{`"storage_size": "1Gi"`, noField("storage_size", "storageSize")},
	{`"postgresImage": "postgres:18"`, noField("postgresImage", "image")},
	{`"archiveKeepdays": 7`, noField("archiveKeepdays", "archiveKeepDays")},
	{`"password": "hunter2-hunter2"`, noField("password", "parameters")},
}

const restorePoints = "latest, end, the name of a backup or an archive, " +
	"or a time such as 2026-11-22T14:05:00Z"

func not(value, field, what, example string) string {
	return `databases[0].` + field + `: "` + value + `" is not ` + what + "; for example: " +
		"pulumi config set --path 'databases[0]." + field + "' " + example
}

func notName(value string) string {
	return not(value, "name", "a name of at most 30 small letters, digits and hyphens that begins with a "+
		"letter and ends with no hyphen", "shop")
}

func notFree(value string) string {
	return not(value, "name", "a free name: redis, storage, postgres, template0, template1, reader, restorer, "+
		"exporter, public, none and all that begin with pg- are taken", "shop")
}

func notFreeNamespace(value string) string {
	return not(value, "namespace", "a free namespace: storage and all that begin with kube- are taken",
		"apps")
}

func notParameters(value, why string) string {
	return not(value, "parameters", "a list of name=value with semicolons between them: "+why,
		`"work_mem=8MB; log_min_duration_statement=250ms"`)
}

func notFitting(buffers, memory string) string {
	return "databases[0].parameters: shared_buffers: " + buffers + " does not fit into the memory limit of " +
		memory + "; for example: pulumi config set --path 'databases[0].parameters' " +
		`"shared_buffers=128MB; max_connections=100"`
}

func notScalar(path string) string {
	return "databases[0]." + path + ": neither text nor a number nor true or false; to remove it: " +
		"pulumi config rm --path 'databases[0]." + path + "'"
}

func noField(field, meant string) string {
	return "databases[0]." + field + ": no such field; did you mean " + meant + "? To remove it: " +
		"pulumi config rm --path 'databases[0]." + field + "'"
}

func TestWrongFieldsOfDatabases(t *testing.T) {
	noEnvironment(t)
	for _, test := range wrongFields {
		_, err := load(t, settings{"databases": "[" + shop(test.fields) + "]"})
		require.EqualError(t, err, "stateful-k3s:"+test.message, test.fields)
	}
}

// wrongLists are settings, and what is said of them, without the project's name.
var wrongLists = []struct {
	settings settings
	messages []string
}{
	{settings{"databases": "shop"}, []string{"databases: not a list; for example: " +
		"pulumi config rm databases && " + set("databases[0].name", "shop")}},
	{settings{"databases": `{"name": "shop"}`}, []string{"databases: not a list; for example: " +
		"pulumi config rm databases && " + set("databases[0].name", "shop")}},
	{settings{"databases": `["shop", ` + shop(`"memory": "x"`) + `, null]`}, []string{
		"databases[0]: not an object with the fields of a database; to remove it: " + rm("databases[0]"),
		"databases[2]: not an object with the fields of a database; to remove it: " + rm("databases[2]"),
		strings.ReplaceAll(not("x", "memory", "a Kubernetes quantity", "512Mi"), "[0]", "[1]"),
	}},
	{settings{"databases": `[{}]`}, []string{
		"databases[0].name: not set; for example: " + set("databases[0].name", "shop")}},
	{settings{"databases": `[{"namespace": "A", "storageSize": "1"}]`}, []string{
		"databases[0].name: not set; for example: " + set("databases[0].name", "shop"),
		not("A", "namespace", "a namespace", "apps"), not("1", "storageSize", "at least 256Mi", "1Gi")}},
	{settings{"databases": `[{"name": "shop", "storageSize": "1", "parameters": "shared_buffers=512MB"}]`},
		[]string{"databases[0].namespace: not set; for example: " + set("databases[0].namespace", "apps"),
			not("1", "storageSize", "at least 256Mi", "1Gi"), notFitting("512MB", "512Mi")}},
	{settings{"databases": `[` + shop(`"namespace": "A`+strings.Repeat("n", 62)+`"`) + `]`}, []string{
		not("A"+strings.Repeat("n", 62), "namespace", "a namespace", "apps")}},
	{settings{"databases": `[` + shop("") + `, {"name": "todo"}, ` + shop(`"namespace": "other"`) + `]`},
		[]string{`databases[2].name: "shop" is databases[0] already; for example: ` + rm("databases[2]")}},
	{settings{"databases": `[{"name": "todo"}, {"name": "todo"}]`},
		[]string{`databases[1].name: "todo" is databases[0] already; for example: ` + rm("databases[1]")}},

	{settings{"databases": `[` + shop(`"namespace": "`+strings.Repeat("n", 58)+`"`) + `]`,
		"namePrefix": "alice-", "ingressHost": "a.example.com"}, []string{`databases[0].namespace: "alice-` +
		strings.Repeat("n", 58) + `" with namePrefix is longer than 63 characters; for example: ` +
		set("databases[0].namespace", "apps")}},

	// What may name a faulty entry is no fault.
	{settings{"databases": `[` + shop(`"name": "Shop"`) + `]`, "secretVersions": "shop-owner=2",
		"restoreOver": "shop"}, []string{notName("Shop")}},
	{settings{"databases": `[` + shop("") + `]`, "secretVersions": "storage-apps-key=2", "restoreOver": "store"},
		[]string{`secretVersions: "storage-apps-key=2" is not a list of name=version with semicolons between ` +
			`them: "storage-apps-key" is no secret; there are pingpong, pingpong-certificate, pingpong-exporter, ` +
			"pingpong-owner, pingpong-reader, pingpong-restorer, postgres, postgres-certificates, " +
			"postgres-passwords, redis, redis-password, shop, shop-certificate, shop-exporter, shop-owner, " +
			"shop-reader, shop-restorer, storage, storage-apps_shop-key, storage-certificate, " +
			"storage-certificates, storage-exercises-key, storage-keys, storage-project-key, todo, " +
			"todo-certificate, todo-exporter, todo-owner, todo-reader, todo-restorer; for example: " +
			`pulumi config set secretVersions "postgres-passwords=2; storage-certificate=2"`,
			`restoreOver: "store" is not a list of pingpong, shop and todo with spaces between them; ` +
				"for example: pulumi config set restoreOver pingpong"}},
	{settings{"databases": `[` + shop("") + `]`, "postgresPassword": "hunter2-hunter2",
		"secretVersions": "shop-owner=2"}, []string{replaced("shop-owner", "postgresPassword")}},

	// The settings of all databases are wrong once, even if every database has its own.
	{settings{"databases": `[` + shop("") + `]`, "postgresMemory": "lots"}, []string{`postgresMemory: "lots" ` +
		"is not a Kubernetes quantity; for example: pulumi config set postgresMemory 512Mi"}},
	{settings{"postgresStorageSize": "1",
		"databases": `[{"name": "pingpong", "storageSize": "2Gi"}, {"name": "todo", "storageSize": "2Gi"}]`},
		[]string{`postgresStorageSize: "1" is not at least 256Mi; ` +
			"for example: pulumi config set postgresStorageSize 1Gi"}},
	{settings{"databases": `[` + shop(`"memory": "128Mi"`) + `]`, "postgresParameters": "shared_buffers=256MB"},
		[]string{notFitting("256MB", "128Mi")}},
	{settings{"databases": `[{"name": "todo", "memory": "128Mi"}]`, "todoBackendReplicas": "7"}, []string{
		"todoBackendReplicas: 7 pods need 52 connections of Postgres, which has 32; for example: " +
			set("databases[0].memory", "512Mi") + ", or max_connections=52 in postgresParameters"}},
	{settings{"databases": `[` + shop(`"archive": true`) + `]`, "archive": "false", "backupRecipient": ageKey},
		[]string{"archivePassphrase: not set, though backupRecipient is, so that the archive would hold in plain " +
			"text what backups hold encrypted; set it with: pulumi config set --secret archivePassphrase " +
			`"$(openssl rand -hex 16)", or have no archive: ` + set("databases[0].archive", "false")}},
}

func TestWrongListsOfDatabases(t *testing.T) {
	noEnvironment(t)
	for _, test := range wrongLists {
		_, err := load(t, test.settings)
		require.EqualError(t, err, "stateful-k3s:"+strings.Join(test.messages, "\nstateful-k3s:"))
	}
	require.Greater(t, len(wrongFields)+len(wrongLists), 60)
}

func TestEncryptedListOfDatabases(t *testing.T) {
	noEnvironment(t)
	_, err := loadWith(t, settings{"databases": "[" + shop(`"storageSize": "hunter2"`) + "]"}, databasesKey)
	require.EqualError(t, err, "stateful-k3s:databases: encrypted, though no field is a secret; "+
		"set each encrypted field again, for example: "+set("databases[0].name", "shop")+" --plaintext")
}

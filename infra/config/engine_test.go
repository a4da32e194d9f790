package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The engine cloudnative-pg refuses what it cannot do, whether it is the engine of all databases or of one.
func TestWhatTheEngineCannotDoIsRefused(t *testing.T) {
	const highly = `"engine": "cloudnative-pg", "archive": false`
	for fields, message := range map[string]string{
		`"engine": "patroni"`: `databases[0].engine: "patroni" is not statefulset or cloudnative-pg; for ` +
			"example: pulumi config set --path 'databases[0].engine' cloudnative-pg",
		`"instances": 3`: `databases[0].instances: set for "shop", whose engine is statefulset, which has one; ` +
			"for example: pulumi config rm --path 'databases[0].instances', or pulumi config set --path " +
			"'databases[0].engine' cloudnative-pg",
		highly + `, "instances": 2`: `databases[0].instances: "2" is not 1, 3, 4 or 5; for example: ` +
			"pulumi config set --path 'databases[0].instances' 3",
		highly + `, "restoreFrom": "2026-11-22T14:05:00Z"`: `databases[0].restoreFrom: "2026-11-22T14:05:00Z" is ` +
			"in an archive, though the engine of shop is cloudnative-pg, and has none; for example: pulumi config " +
			"set --path 'databases[0].restoreFrom' latest, or the name of a backup",
		`"engine": "cloudnative-pg", "restoreFrom": "end-7711158423862165527"`: `databases[0].restoreFrom: ` +
			`"end-7711158423862165527" is an archive of the engine statefulset, though the engine of shop is ` +
			"cloudnative-pg; for example: pulumi config set --path 'databases[0].restoreFrom' end, or a time",
		highly + `, "restoreFrom": "end"`: `databases[0].restoreFrom: "end" is in an archive, `,
		highly + `, "image": "registry.example.com/postgres:prod"`: `databases[0].image: ` +
			`"registry.example.com/postgres:prod" does not say its major version in the tag, though the engine of ` +
			"shop is cloudnative-pg, which asks for it; for example: pulumi config set --path 'databases[0].image' " +
			"postgres:18",
		highly + `, "parameters": {"hot_standby": "off"}`: "databases[0].parameters: hot_standby is " +
			"CloudNativePG's to set, and the engine of shop is cloudnative-pg; for example: pulumi config set " +
			"--path 'databases[0].parameters' work_mem=8MB",
		highly + `, "memory": "128Mi"`: `databases[0].memory: "128Mi" is not at least 256Mi, though the engine ` +
			"of shop is cloudnative-pg; for example: pulumi config set --path 'databases[0].memory' 512Mi",
	} {
		_, err := load(t, settings{"databases": "[" + shop(fields) + "]"})
		require.ErrorContains(t, err, "stateful-k3s:"+message, fields)
	}
	for _, encrypted := range []settings{{"archivePassphrase": "correct-horse-battery"},
		{"backupRecipient": "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"}} {
		encrypted["engine"] = "cloudnative-pg"
		_, err := load(t, encrypted)
		require.ErrorContains(t, err, "stateful-k3s:archive: true, though the engine of pingpong is cloudnative-pg"+
			", whose archive is not encrypted, and backups or archives are (backupRecipient, archivePassphrase); "+
			"for example: pulumi config set ")
	}
}

// A restore to a time goes through a Cluster of its own, named for the time.
func TestWhatIsRecovered(t *testing.T) {
	for from, cluster := range map[string]string{
		"2026-11-22T16:05:00+02:00": "shop-postgres-20261122t140500z", "end": "shop-postgres-end",
		"2026-11-22T14:05:00.25Z": "shop-postgres-20261122t140500-25z", "latest": "",
		"20261122T020000Z-1a2b3c": "",
	} {
		cfg, err := load(t, settings{"databases": "[" + shop(`"engine": "cloudnative-pg", "restoreFrom": "`+from+
			`"`) + "]"})
		require.NoError(t, err, from)
		for _, d := range cfg.Databases {
			if d.Name == "shop" {
				require.Equal(t, cluster, d.Recovered(), from)
			}
		}
	}
}

func TestEnginesOfAllAndOfOne(t *testing.T) {
	cfg, err := load(t, settings{"engine": "cloudnative-pg", "archive": "false", "databases": "[" +
		shop(`"instances": 1, "restoreFrom": "20261122T020000Z-1a2b3c", "image": "postgres:17.6@sha256:`+
			`0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"`) +
		`, {"name": "todo", "engine": "statefulset"}]`})
	require.NoError(t, err)
	engines, instances, where := map[string]string{}, map[string]int{}, map[string]string{}
	for _, d := range cfg.Databases {
		engines[d.Name], instances[d.Name], where[d.Name] = d.Engine, d.Instances, d.EngineSetting()
	}
	require.Equal(t, map[string]string{"pingpong": "cloudnative-pg", "shop": "cloudnative-pg",
		"todo": "statefulset"}, engines)
	require.Equal(t, map[string]int{"pingpong": 3, "shop": 1, "todo": 3}, instances)
	require.Equal(t, map[string]string{"pingpong": "engine", "shop": "engine", "todo": "databases[1].engine"},
		where)
}

package main

import (
	_ "embed"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// secretSettings are the settings that the stack's configuration encrypts.
var secretSettings = []string{
	"registryPassword", "pullPassword", "redisPassword", "postgresPassword", "postgresReaderPassword",
	"archivePassphrase", "restoreIdentity", "s3AccessKey", "s3SecretKey", "pageLogin", "backupHeartbeatUrl",
}

// settings are the defaults with changes and a registry, whatever the environment says.
func settings(t *testing.T, changes map[string]string) recorder.Option {
	t.Helper()
	t.Setenv("BUILDX_BUILDER", "")
	t.Setenv("STATEFUL_K3S_INGRESS_ADDRESS", "")
	all := recorder.Defaults(t)
	all["registry"] = "registry.example.com/team"
	maps.Copy(all, changes)
	return recorder.Config(all, secretSettings...)
}

const (
	// ageKey is a public key of age, and ageIdentity its private key.
	ageKey      = "age1r83uz8exdaypupep8gm530pvksak4eejvwsu8e9nek87jmxwty0qsngh3m"
	ageIdentity = "AGE-SECRET-KEY-1RTQU55C00ZXA04N723695APENPFR8EAVVCC2QG8HSHY57DMTVTUQ2V57GN"
)

// passwordHash is bcrypt's hash of "swordfish", as htpasswd -nbB prints it.
const passwordHash = "$2a$04$WyuVHg6fMfKpGZSYLrNbFOAxGxr7vBwqPUv0AEoLQNNqyUyrFVSjC" // #nosec G101 -- a test

//go:embed testdata/authority.pem
var authority string

// variants are settings that change what the program declares.
var variants = map[string]map[string]string{
	"archive-off": {"archive": "false"},
	"external-s3": {
		"s3Endpoint": "https://s3.example.com", "s3Region": "eu-north-1", "s3Bucket": "attic", "s3Prefix": "house",
		"s3AccessKey": "the-access-key", "s3SecretKey": "the-secret-key", "s3PathStyle": "false",
		"s3Networks": "10.1.3.0/24", "s3CA": authority,
	},
	"no-ingress": {"ingressClass": "none"},
	"gateway": {"gateway": "kube-system/web", "ingressHost": "todo.lan",
		"ingressAnnotations": "example.com/team=shop"},
	"monitoring-builtin": {
		"monitoring": "builtin", "prometheusImage": "prom/prometheus:v3.5.0", "prometheusStorageSize": "5Gi",
		"prometheusMemory": "256Mi", "prometheusKeepDays": "30", "prometheusIngress": "true",
	},
	"monitoring-operator": {
		"monitoring": "operator", "monitoringNamespace": "watch", "monitoringLabels": "app=prometheus",
		"monitoringObjectLabels": "release=watch",
	},
	"monitoring-annotations": {"monitoring": "annotations"},
	"restore": {
		"databases": `[{"name": "pingpong", "restoreFrom": "latest"},
			{"name": "todo", "restoreFrom": "20261122T020000Z-1a2b3c"}]`,
		"restoreFrom": "end", "restoreOver": "todo", "restoreIdentity": ageIdentity,
	},
	"databases": {"databases": `[
		{"name": "shop", "namespace": "apps", "image": "postgres:17", "storageSize": "2Gi",
			"extensions": "hstore", "clients": "apps/app=shop web/app=web"},
		{"name": "old-shop", "namespace": "project", "archive": false, "parameters": {"jit": "off"}}
	]`},
	"cloudnative-pg": {"engine": "cloudnative-pg", "instances": "1", "archive": "false", "databases": `[
		{"name": "pingpong", "instances": 3, "extensions": "hstore", "parameters": {"jit": "off"}},
		{"name": "todo", "engine": "statefulset"},
		{"name": "shop", "namespace": "apps", "clients": "apps/app=shop", "archive": true,
			"restoreFrom": "2026-11-22T14:05:00Z"}
	]`},
	"every-other-setting": {
		"namePrefix":   "alice-",
		"builder":      "mybuilder",
		"platforms":    "linux/amd64 linux/arm64",
		"storageClass": "longhorn",
		"dnsServers":   "169.254.20.10/32",

		"registryUsername": "pusher",
		"registryPassword": "push-it-there",
		"pullUsername":     "puller",
		"pullPassword":     "pull-it-here",
		"secretVersions": "storage-project-key=2; todo-certificate=2; todo-restorer=2; " +
			"postgres-passwords=3; postgres-certificates=4; storage-keys=5; storage-certificates=6",

		"redisImage":       "redis:8.2",
		"redisGoBack":      "true",
		"redisPassword":    "correct-horse",
		"redisStorageSize": "1Gi",
		"redisMemory":      "128Mi",

		"postgresImage":          "postgres:17",
		"postgresGoBack":         "todo",
		"postgresPassword":       "battery-staple",
		"postgresReaderPassword": "read-it-all",
		"postgresStorageSize":    "5Gi",
		"postgresMemory":         "1Gi",
		"postgresParameters":     "jit=off",

		"pingpongReplicas":     "3",
		"todoBackendReplicas":  "4",
		"todoFrontendReplicas": "5",
		"todoAllowedOrigins":   "https://shop.example.com",
		"todoOwnOrigins":       "https://todo.example.com",
		"dailyTodoSchedule":    "30 7 * * *",
		"dailyTodoTimeZone":    "Europe/Helsinki",
		"articleUrl":           "https://wiki.example.com:8443/random",
		"articleCA":            authority,
		"articleNetworks":      "10.1.2.0/24",
		"logRequests":          "true",

		"backupSchedule":          "30 4 * * 0",
		"backupTimeZone":          "Europe/Helsinki",
		"backupKeepDaily":         "1",
		"backupKeepWeekly":        "2",
		"backupKeepMonthly":       "3",
		"backupScratchSize":       "40Gi",
		"backupMemory":            "768Mi",
		"backupCompression":       "19",
		"backupRecipient":         ageKey,
		"backupTimeout":           "90m",
		"backupHeartbeatUrl":      "https://hc.example.com:8443/tick-tock/{database}?create=1",
		"backupHeartbeatNetworks": "10.1.5.0/24",
		"archiveTimeout":          "30s",
		"archiveKeepDays":         "14",
		"archivePassphrase":       "close-it-tight",

		"storageSize":   "50Gi",
		"storageMemory": "256Mi",

		"ingressClass":     "nginx",
		"ingressNamespace": "ingress-nginx",
		"ingressNetworks":  "10.1.4.0/24",
		"ingressHost":      "stateful.example.com",
		"ingressTLSSecret": "stateful-tls",
		"ingressIssuer":    "letsencrypt",
		"pageLogin":        "alice:" + passwordHash + " bob:" + passwordHash,

		"ingressAnnotations": "nginx.ingress.kubernetes.io/limit-rps=20; example.com/team=shop",
	},
}

// Each setting is in a variant, so that a golden file shows what it changes.
func TestEverySettingIsInAVariant(t *testing.T) {
	inNone := recorder.Defaults(t)
	for _, changes := range variants {
		for key, value := range changes {
			require.NotEqual(t, recorder.Defaults(t)[key], value, key)
			delete(inNone, key)
		}
	}
	for _, key := range []string{"registry", "images", "kubeContext", "kubeconfig", "kubeconfigFrom"} {
		delete(inNone, key) // settings gives the first, and tests of their own have the others
	}
	require.Empty(t, inNone)
}

func TestSecretSettingsAreNowhereInPlainText(t *testing.T) {
	for name, changes := range variants {
		recording := recorder.Run(t, withoutCluster, settings(t, changes))
		for _, key := range secretSettings {
			if value, _, _ := strings.Cut(changes[key], "{database}"); value != "" {
				t.Run(name+"/"+key, func(t *testing.T) { recording.RequireSecret(t, value) })
			}
		}
	}
}

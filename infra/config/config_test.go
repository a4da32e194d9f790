package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/backup"
	"github.com/stateful-k3s/stateful-k3s/infra/config"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/postgres"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
	"github.com/stateful-k3s/stateful-k3s/infra/todo"
)

var secrets = []string{
	"registryPassword", "pullPassword", "redisPassword", "postgresPassword", "postgresReaderPassword", "archivePassphrase", "s3AccessKey", "s3SecretKey",
	"restoreIdentity",
}

// load reads the defaults of Pulumi.yaml, with changes.
func load(t *testing.T, changes map[string]string, secrets ...string) (*config.Config, error) {
	t.Helper()
	settings := recorder.Defaults(t)
	maps.Copy(settings, changes)
	return loadOnly(t, settings, secrets...)
}

func loadOnly(t *testing.T, settings map[string]string, secrets ...string) (cfg *config.Config, err error) {
	t.Helper()
	_, _ = recorder.Try(t, func(ctx *pulumi.Context) error {
		cfg, err = config.Load(ctx)
		return err
	}, recorder.Config(settings, secrets...))
	return cfg, err
}

func noEnvironment(t *testing.T) {
	t.Setenv("STATEFUL_K3S_REGISTRY", "")
	t.Setenv("BUILDX_BUILDER", "")
	t.Setenv("STATEFUL_K3S_INGRESS_ADDRESS", "")
}

// Every key of Pulumi.yaml is read here, or it would be refused as unknown; every key that is read here is in Pulumi.yaml,
// or it would be reported as undeclared.
func TestDefaultsOfPulumiYAML(t *testing.T) {
	noEnvironment(t)
	cfg, err := load(t, map[string]string{"registry": "registry.example.com/team"})
	require.NoError(t, err)
	require.Equal(t, &config.Config{
		Registry:     config.Registry{Path: "registry.example.com/team", Host: "registry.example.com"},
		StorageClass: "local-path",
		Redis: config.Redis{
			Image:           "redis:8",
			PasswordVersion: "1",
			StorageSize:     "100Mi",
			Memory:          "64Mi",
		},
		Postgres: config.Postgres{
			Image:           "postgres:17",
			PasswordVersion: "1",
			TLSVersion:      "1",
			StorageSize:     "1Gi",
			Memory:          "512Mi",
			Parameters:      postgres.Parameters{},
		},
		Pingpong: config.Pingpong{Replicas: 2},
		Todo: config.Todo{
			BackendReplicas:  2,
			FrontendReplicas: 2,
			AllowedOrigins:   "*",
			Daily: todo.Daily{
				Schedule:   "0 * * * *",
				TimeZone:   "Etc/UTC",
				ArticleURL: "https://en.wikipedia.org/wiki/Special:Random",
				Networks:   kube.Internet,
			},
		},
		Backup: backup.Settings{
			Schedule:    "0 2 * * *",
			TimeZone:    "Etc/UTC",
			KeepDaily:   7,
			KeepWeekly:  4,
			KeepMonthly: 6,
			ScratchSize: "4Gi",
			Memory:      "512Mi",
			Compression: 3,
			Timeout:     time.Hour,
		},
		Restore: map[string]*backup.Restore{},
		Archive: config.Archive{On: true, Timeout: time.Minute, KeepDays: 7},
		Storage: config.Storage{Size: "5Gi", Memory: "128Mi", KeysVersion: "1", TLSVersion: "1"},
		Ingress: &kube.Ingress{Class: "traefik", Namespace: "kube-system"},
	}, cfg)
}

func TestDeclarationsOfPulumiYAML(t *testing.T) {
	noEnvironment(t)
	project := recorder.LoadProject(t)
	require.Equal(t, recorder.Project, project.Name.String())
	require.Equal(t, "go", project.Runtime.Name())
	require.Equal(t, "infra", project.Main)
	for key, setting := range project.Config {
		require.Equal(t, "string", setting.TypeName(), key)
		require.Greater(t, len(setting.Description), len("Size"), key)
		// Pulumi takes a setting without a default for a required one, and refuses the default of a secret one.
		require.IsType(t, "", setting.Default, key)
		require.False(t, setting.Secret, key)

		_, err := load(t, map[string]string{"registry": "registry.example.com", key: "not-encrypted"})
		refused := err != nil && strings.Contains(err.Error(), "pulumi config set --secret "+key)
		require.Equal(t, strings.Contains(setting.Description, "(secret)"), refused, "%s: %v", key, err)
	}
}

// A key that the program reads and Pulumi.yaml does not declare.
func TestUndeclaredSetting(t *testing.T) {
	noEnvironment(t)
	settings := recorder.Defaults(t)
	settings["registry"] = "registry.example.com"
	delete(settings, "storageClass")
	_, err := loadOnly(t, settings)
	require.EqualError(t, err, "stateful-k3s:storageClass: neither set nor declared in Pulumi.yaml, which gives every setting a default; declare it there")
}

func TestEverySetting(t *testing.T) {
	noEnvironment(t)
	t.Setenv("BUILDX_BUILDER", "from-the-environment")
	t.Setenv("STATEFUL_K3S_REGISTRY", "environment.example.com")
	t.Setenv("STATEFUL_K3S_INGRESS_ADDRESS", "10.231.1.2")
	authority := newAuthority(t)
	cfg, err := load(t, map[string]string{
		"namePrefix":           "alice-",
		"registry":             "registry.example.com:5000/team",
		"registryUsername":     "pusher",
		"registryPassword":     "push it",
		"pullUsername":         "puller",
		"pullPassword":         "pull it",
		"builder":              "mybuilder",
		"storageClass":         "longhorn",
		"redisImage":           "registry.example.com:5000/redis:8.2",
		"redisPassword":        "correct-horse",
		"redisPasswordVersion": "2026-11",
		"redisStorageSize":     "1Gi",
		"redisMemory":          "256Mi",

		"postgresImage":           "registry.example.com:5000/postgres:18",
		"postgresPassword":        "battery-staple",
		"postgresReaderPassword":  "read-it-all",
		"postgresPasswordVersion": "2026-12",
		"postgresTLSVersion":      "2027",
		"postgresStorageSize":     "10Gi",
		"postgresMemory":          "4Gi",
		"postgresParameters":      "work_mem=8MB; jit=off",

		"pingpongReplicas": "20",

		"todoBackendReplicas":  "3",
		"todoFrontendReplicas": "4",
		"todoAllowedOrigins":   "https://todo.example.com http://localhost:3000",
		"dailyTodoSchedule":    "@daily",
		"dailyTodoTimeZone":    "Europe/Helsinki",
		"articleUrl":           "https://wiki.example.com:8443/random",
		"articleCA":            authority,
		"articleNetworks":      "10.1.2.0/24 fd00::/8",

		"backupSchedule":    "30 4 * * 0",
		"backupTimeZone":    "Europe/Helsinki",
		"backupKeepDaily":   "0",
		"backupKeepWeekly":  "1",
		"backupKeepMonthly": "999",
		"backupScratchSize": "40Gi",
		"backupMemory":      "1Gi",
		"backupCompression": "19",
		"backupRecipient":   ageKey,
		"backupTimeout":     "90m",

		"restoreFrom":     "end",
		"todoRestoreFrom": "20261122T020000Z-1a2b3c",
		"restoreOver":     "todo",
		"restoreIdentity": ageIdentity,

		"archive":           "false",
		"archiveTimeout":    "90s",
		"archiveKeepDays":   "30",
		"archivePassphrase": "close-it-tight",

		"storageSize":        "50Gi",
		"storageMemory":      "256Mi",
		"storageKeysVersion": "2028",
		"storageTLSVersion":  "2029",

		"s3Endpoint":  "https://s3.example.com:9000/",
		"s3Region":    "eu-north-1",
		"s3Bucket":    "attic",
		"s3Prefix":    "house/north",
		"s3AccessKey": "the access key",
		"s3SecretKey": "the secret key",
		"s3PathStyle": "false",
		"s3CA":        authority,
		"s3Networks":  "10.1.3.0/24",

		"ingressClass":     "nginx",
		"ingressNamespace": "ingress-nginx",
		"ingressHost":      "stateful.example.com",
		"ingressTLSSecret": "stateful-tls",
	}, secrets...)
	require.NoError(t, err)

	require.Equal(t, "push it", known(t, cfg.Registry.Push.Password))
	require.Equal(t, "pull it", known(t, cfg.Registry.Pull.Password))
	require.Equal(t, "correct-horse", known(t, cfg.Redis.Password))
	require.Equal(t, "battery-staple", known(t, cfg.Postgres.Password))
	require.Equal(t, "read-it-all", known(t, cfg.Postgres.ReaderPassword))
	for _, restore := range cfg.Restore {
		require.Equal(t, ageIdentity, known(t, restore.Identity))
		restore.Identity = nil
	}
	require.Equal(t, "close-it-tight", known(t, cfg.Archive.Passphrase))
	require.Equal(t, "the access key", known(t, cfg.S3.AccessKey))
	require.Equal(t, "the secret key", known(t, cfg.S3.SecretKey))
	cfg.S3.AccessKey, cfg.S3.SecretKey, cfg.Archive.Passphrase = nil, nil, nil
	cfg.Registry.Push.Password, cfg.Registry.Pull.Password, cfg.Redis.Password = nil, nil, nil
	cfg.Postgres.Password, cfg.Postgres.ReaderPassword = nil, nil
	require.Equal(t, &config.Config{
		NamePrefix: "alice-",
		Registry: config.Registry{
			Path: "registry.example.com:5000/team",
			Host: "registry.example.com:5000",
			Push: config.Login{Username: "pusher"},
			Pull: config.Login{Username: "puller"},
		},
		Builder:      "mybuilder",
		StorageClass: "longhorn",
		Redis: config.Redis{
			Image:           "registry.example.com:5000/redis:8.2",
			PasswordVersion: "2026-11",
			StorageSize:     "1Gi",
			Memory:          "256Mi",
		},
		Postgres: config.Postgres{
			Image:           "registry.example.com:5000/postgres:18",
			PasswordVersion: "2026-12",
			TLSVersion:      "2027",
			StorageSize:     "10Gi",
			Memory:          "4Gi",
			Parameters:      postgres.Parameters{"work_mem": "8MB", "jit": "off"},
		},
		Pingpong: config.Pingpong{Replicas: 20},
		Todo: config.Todo{
			BackendReplicas:  3,
			FrontendReplicas: 4,
			AllowedOrigins:   "https://todo.example.com http://localhost:3000",
			Daily: todo.Daily{
				Schedule:    "@daily",
				TimeZone:    "Europe/Helsinki",
				ArticleURL:  "https://wiki.example.com:8443/random",
				Authorities: authority,
				Networks:    []kube.Network{{CIDR: "10.1.2.0/24"}, {CIDR: "fd00::/8"}},
			},
		},
		Backup: backup.Settings{
			Schedule:    "30 4 * * 0",
			TimeZone:    "Europe/Helsinki",
			KeepDaily:   0,
			KeepWeekly:  1,
			KeepMonthly: 999,
			ScratchSize: "40Gi",
			Memory:      "1Gi",
			Compression: 19,
			Recipient:   ageKey,
			Timeout:     90 * time.Minute,
		},
		Restore: map[string]*backup.Restore{
			"pingpong": {From: "end"},
			"todo":     {From: "20261122T020000Z-1a2b3c", Over: true},
		},
		Archive: config.Archive{Timeout: 90 * time.Second, KeepDays: 30},
		Storage: config.Storage{Size: "50Gi", Memory: "256Mi", KeysVersion: "2028", TLSVersion: "2029"},
		S3: &storage.Bucket{
			Endpoint:    "https://s3.example.com:9000",
			Region:      "eu-north-1",
			Name:        "attic",
			Prefix:      "house/north",
			Authorities: pulumi.String(authority),
			Networks:    []kube.Network{{CIDR: "10.1.3.0/24"}},
		},
		Ingress: &kube.Ingress{
			Class: "nginx", Namespace: "ingress-nginx", Host: "stateful.example.com", TLSSecret: "stateful-tls",
		},
	}, cfg)
}

// ageKey is a public key of age, whose private key nobody has kept.
const ageKey = "age1r83uz8exdaypupep8gm530pvksak4eejvwsu8e9nek87jmxwty0qsngh3m"

// ageIdentity is a private key of age that opens nothing.
const ageIdentity = "AGE-SECRET-KEY-1RTQU55C00ZXA04N723695APENPFR8EAVVCC2QG8HSHY57DMTVTUQ2V57GN"

func newAuthority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// known registers the value, and returns it only if it is secret.
func known(t *testing.T, password pulumi.StringInput) string {
	t.Helper()
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		_, err := pulumi.NewStash(ctx, "password", &pulumi.StashArgs{Input: password})
		return err
	})
	input := recording.Get(t, "pulumi:index:Stash", "password").Inputs["input"]
	require.True(t, input.IsSecret())
	return input.SecretValue().Element.StringValue()
}

func TestEnvironmentStandsIn(t *testing.T) {
	t.Setenv("STATEFUL_K3S_REGISTRY", "environment.example.com/team")
	t.Setenv("BUILDX_BUILDER", "from-the-environment")
	cfg, err := load(t, nil)
	require.NoError(t, err)
	require.Equal(t, config.Registry{Path: "environment.example.com/team", Host: "environment.example.com"}, cfg.Registry)
	require.Equal(t, "from-the-environment", cfg.Builder)
}

func TestClusterPullsAsTheUserThatPushes(t *testing.T) {
	noEnvironment(t)
	cfg, err := load(t, map[string]string{
		"registry": "registry.example.com", "registryUsername": "alice", "registryPassword": "push it",
	}, secrets...)
	require.NoError(t, err)
	require.Equal(t, "alice", cfg.Registry.Pull.Username)
	require.Equal(t, "push it", known(t, cfg.Registry.Pull.Password))
}

func TestFaults(t *testing.T) {
	const (
		prefix    = `is not a prefix of at most 32 small letters, digits and hyphens with a hyphen at its end; for example: pulumi config set namePrefix alice-`
		registry  = `is not a registry's host, with a path if it needs one; for example: pulumi config set registry registry.example.com/team`
		storage   = `for example: pulumi config set redisStorageSize 100Mi`
		memory    = `for example: pulumi config set redisMemory 64Mi`
		password  = `stateful-k3s:redisPassword: not 8 to 128 printable ASCII characters without spaces; for example: pulumi config set --secret redisPassword "$(openssl rand -hex 16)"`
		origins   = `is not * or origins with spaces between them; for example: pulumi config set todoAllowedOrigins https://todo.example.com`
		cron      = `is not a cron schedule of five fields; for example: pulumi config set dailyTodoSchedule "0 * * * *"`
		article   = `is not an https address; for example: pulumi config set articleUrl https://en.wikipedia.org/wiki/Special:Random`
		networks  = `is not a list of networks with spaces between them; for example: pulumi config set articleNetworks 10.0.0.0/8`
		retention = `is not a number from 0 to 999; for example: pulumi config set backupKeep`
		recipient = `is not a public key of age; for example: pulumi config set backupRecipient $(age-keygen -y key.txt)`
		point     = `is not latest, end, the name of a backup, or a time such as 2026-11-22T14:05:00Z; for example: pulumi config set `
		over      = `is not a list of pingpong and todo with spaces between them; for example: pulumi config set restoreOver pingpong`
		nothing   = `, which is restored from nothing; for example: pulumi config set `
		timeout   = `is not a time from 1m to 24h; for example: pulumi config set backupTimeout 90m`
		endpoint  = `is not an https address without a path; for example: pulumi config set s3Endpoint https://s3.example.com`
		elsewhere = `; for example: pulumi config set s3Endpoint https://s3.example.com`
		encrypted = `not encrypted; encrypt it with: pulumi config set --secret `
	)
	for _, test := range []struct{ key, value, message string }{
		{"namePrefix", "alice", `stateful-k3s:namePrefix: "alice" ` + prefix},
		{"namePrefix", "Alice-", `stateful-k3s:namePrefix: "Alice-" ` + prefix},
		{"namePrefix", "-", `stateful-k3s:namePrefix: "-" ` + prefix},
		{"namePrefix", "a-name-of-more-than-thirty-two-ch-", `stateful-k3s:namePrefix: "a-name-of-more-than-thirty-two-ch-" ` + prefix},
		{"registry", "", `stateful-k3s:registry: not set, and $STATEFUL_K3S_REGISTRY is not either; for example: pulumi config set registry registry.example.com/team`},
		{"registry", "team", `stateful-k3s:registry: "team" ` + registry},
		{"registry", "https://registry.example.com", `stateful-k3s:registry: "https://registry.example.com" ` + registry},
		{"registry", "registry.example.com/team/", `stateful-k3s:registry: "registry.example.com/team/" ` + registry},
		{"registryUsername", "alice", `stateful-k3s:registryPassword: not set, though registryUsername is; set it with: pulumi config set --secret registryPassword`},
		{"registryUsername", " ", `stateful-k3s:registryUsername: " " is not a value; for example: pulumi config set registryUsername alice`},
		{"registryPassword", "push it", `stateful-k3s:registryUsername: not set, though registryPassword is; for example: pulumi config set registryUsername alice`},
		{"registryPassword", " ", `stateful-k3s:registryPassword: not a value; for example: pulumi config set --secret registryPassword`},
		{"pullUsername", "alice", `stateful-k3s:pullPassword: not set, though pullUsername is; set it with: pulumi config set --secret pullPassword`},
		{"pullPassword", "pull it", `stateful-k3s:pullUsername: not set, though pullPassword is; for example: pulumi config set pullUsername alice`},
		{"builder", "my builder", `stateful-k3s:builder: "my builder" is not the name of a buildx builder; for example: pulumi config set builder mybuilder`},
		{"storageClass", "", `stateful-k3s:storageClass: "" is not the name of a storage class; for example: pulumi config set storageClass local-path`},
		{"storageClass", "Local Path", `stateful-k3s:storageClass: "Local Path" is not the name of a storage class; for example: pulumi config set storageClass local-path`},
		{"redisImage", "", `stateful-k3s:redisImage: "" is not an image; for example: pulumi config set redisImage redis:8`},
		{"redisImage", "Redis", `stateful-k3s:redisImage: "Redis" is not an image; for example: pulumi config set redisImage redis:8`},
		{"redisPassword", "short", password},
		{"redisPassword", "correct horse", password},
		{"redisPassword", "correct-horse\x00", password},
		{"redisPassword", strings.Repeat("x", 129), password},
		{"redisPasswordVersion", "", `stateful-k3s:redisPasswordVersion: "" is not a value; for example: pulumi config set redisPasswordVersion 2`},
		{"redisStorageSize", "100 MB", `stateful-k3s:redisStorageSize: "100 MB" is not a Kubernetes quantity; ` + storage},
		{"redisStorageSize", "-1Gi", `stateful-k3s:redisStorageSize: "-1Gi" is not at least 1Mi; ` + storage},
		{"redisMemory", "64MB", `stateful-k3s:redisMemory: "64MB" is not a Kubernetes quantity; ` + memory},
		{"redisMemory", "15Mi", `stateful-k3s:redisMemory: "15Mi" is not at least 16Mi; ` + memory},
		{"postgresImage", "Postgres", `stateful-k3s:postgresImage: "Postgres" is not an image; for example: pulumi config set postgresImage postgres:17`},
		{"postgresPassword", "short", strings.Replace(password, "redisPassword", "postgresPassword", 2)},
		{"postgresReaderPassword", "short", strings.Replace(password, "redisPassword", "postgresReaderPassword", 2)},
		{"postgresPasswordVersion", "", `stateful-k3s:postgresPasswordVersion: "" is not a value; for example: pulumi config set postgresPasswordVersion 2`},
		{"postgresTLSVersion", "", `stateful-k3s:postgresTLSVersion: "" is not a value; for example: pulumi config set postgresTLSVersion 2`},
		{"postgresStorageSize", "1Mi", `stateful-k3s:postgresStorageSize: "1Mi" is not at least 256Mi; for example: pulumi config set postgresStorageSize 1Gi`},
		{"postgresMemory", "64Mi", `stateful-k3s:postgresMemory: "64Mi" is not at least 128Mi; for example: pulumi config set postgresMemory 512Mi`},
		{"pingpongReplicas", "0", `stateful-k3s:pingpongReplicas: "0" is not a number from 1 to 20; for example: pulumi config set pingpongReplicas 2`},
		{"pingpongReplicas", "21", `stateful-k3s:pingpongReplicas: "21" is not a number from 1 to 20; for example: pulumi config set pingpongReplicas 2`},
		{"pingpongReplicas", "two", `stateful-k3s:pingpongReplicas: "two" is not a number from 1 to 20; for example: pulumi config set pingpongReplicas 2`},
		{"postgresParameters", "port=1", `stateful-k3s:postgresParameters: "port=1" is not a list of name=value with semicolons between them: port is not yours to set; for example: pulumi config set postgresParameters "work_mem=8MB; log_min_duration_statement=250ms"`},
		{"todoBackendReplicas", "0", `stateful-k3s:todoBackendReplicas: "0" is not a number from 1 to 20; for example: pulumi config set todoBackendReplicas 2`},
		{"todoFrontendReplicas", "many", `stateful-k3s:todoFrontendReplicas: "many" is not a number from 1 to 20; for example: pulumi config set todoFrontendReplicas 2`},
		{"todoAllowedOrigins", "", `stateful-k3s:todoAllowedOrigins: "" ` + origins},
		{"todoAllowedOrigins", "todo.example.com", `stateful-k3s:todoAllowedOrigins: "todo.example.com" ` + origins},
		{"todoAllowedOrigins", "https://todo.example.com/", `stateful-k3s:todoAllowedOrigins: "https://todo.example.com/" ` + origins},
		{"todoAllowedOrigins", "* https://todo.example.com", `stateful-k3s:todoAllowedOrigins: "* https://todo.example.com" ` + origins},
		{"dailyTodoSchedule", "hourly", `stateful-k3s:dailyTodoSchedule: "hourly" ` + cron},
		{"dailyTodoSchedule", "0 * * * * *", `stateful-k3s:dailyTodoSchedule: "0 * * * * *" ` + cron},
		{"dailyTodoSchedule", "TZ=UTC 0 * * * *", `stateful-k3s:dailyTodoSchedule: "TZ=UTC 0 * * * *" ` + cron},
		{"dailyTodoTimeZone", "", `stateful-k3s:dailyTodoTimeZone: "" is not a time zone; for example: pulumi config set dailyTodoTimeZone Europe/Helsinki`},
		{"dailyTodoTimeZone", "Local", `stateful-k3s:dailyTodoTimeZone: "Local" is not a time zone; for example: pulumi config set dailyTodoTimeZone Europe/Helsinki`},
		{"dailyTodoTimeZone", "Helsinki", `stateful-k3s:dailyTodoTimeZone: "Helsinki" is not a time zone; for example: pulumi config set dailyTodoTimeZone Europe/Helsinki`},
		{"articleUrl", "", `stateful-k3s:articleUrl: "" ` + article},
		{"articleUrl", "http://wiki.example.com/random", `stateful-k3s:articleUrl: "http://wiki.example.com/random" ` + article},
		{"articleUrl", "https:///random", `stateful-k3s:articleUrl: "https:///random" ` + article},
		{"articleUrl", "https://wiki.example.com:99999/", `stateful-k3s:articleUrl: "https://wiki.example.com:99999/" ` + article},
		{"articleCA", "ca.crt", `stateful-k3s:articleCA: "ca.crt" is not certificates in PEM; for example: pulumi config set articleCA "$(cat ca.crt)"`},
		{"articleNetworks", "10.0.0.0", `stateful-k3s:articleNetworks: "10.0.0.0" ` + networks},
		{"articleNetworks", "10.0.0.1/8", `stateful-k3s:articleNetworks: "10.0.0.1/8" ` + networks},
		{"backupSchedule", "nightly", `stateful-k3s:backupSchedule: "nightly" is not a cron schedule of five fields; for example: pulumi config set backupSchedule "0 2 * * *"`},
		{"backupTimeZone", "Helsinki", `stateful-k3s:backupTimeZone: "Helsinki" is not a time zone; for example: pulumi config set backupTimeZone Europe/Helsinki`},
		{"backupKeepDaily", "-1", `stateful-k3s:backupKeepDaily: "-1" ` + retention + `Daily 7`},
		{"backupKeepWeekly", "some", `stateful-k3s:backupKeepWeekly: "some" ` + retention + `Weekly 4`},
		{"backupKeepMonthly", "1000", `stateful-k3s:backupKeepMonthly: "1000" ` + retention + `Monthly 6`},
		{"backupScratchSize", "255Mi", `stateful-k3s:backupScratchSize: "255Mi" is not at least 256Mi; for example: pulumi config set backupScratchSize 4Gi`},
		{"backupMemory", "128Mi", `stateful-k3s:backupMemory: "128Mi" is not at least 256Mi; for example: pulumi config set backupMemory 512Mi`},
		{"backupCompression", "0", `stateful-k3s:backupCompression: "0" is not a number from 1 to 19; for example: pulumi config set backupCompression 3`},
		{"backupCompression", "20", `stateful-k3s:backupCompression: "20" is not a number from 1 to 19; for example: pulumi config set backupCompression 3`},
		{"backupRecipient", "age1", `stateful-k3s:backupRecipient: "age1" ` + recipient},
		{"backupRecipient", ageKey + "q", `stateful-k3s:backupRecipient: "` + ageKey + `q" ` + recipient},
		{"backupTimeout", "1", `stateful-k3s:backupTimeout: "1" ` + timeout},
		{"backupTimeout", "59s", `stateful-k3s:backupTimeout: "59s" ` + timeout},
		{"backupTimeout", "25h", `stateful-k3s:backupTimeout: "25h" ` + timeout},
		{"restoreFrom", "yesterday", `stateful-k3s:restoreFrom: "yesterday" ` + point + `restoreFrom latest`},
		{"restoreFrom", "2026-11-22 14:05:00", `stateful-k3s:restoreFrom: "2026-11-22 14:05:00" ` + point + `restoreFrom latest`},
		{"restoreFrom", "20261122T020000Z-1a2b3c", `stateful-k3s:restoreFrom: 20261122T020000Z-1a2b3c is a backup of one database; for example: pulumi config set pingpongRestoreFrom 20261122T020000Z-1a2b3c`},
		{"pingpongRestoreFrom", "20261122T020000Z", `stateful-k3s:pingpongRestoreFrom: "20261122T020000Z" ` + point + `pingpongRestoreFrom latest`},
		{"restoreOver", "postgres", `stateful-k3s:restoreOver: "postgres" ` + over},
		{"restoreOver", "pingpong,todo", `stateful-k3s:restoreOver: "pingpong,todo" ` + over},
		{"restoreOver", "todo", `stateful-k3s:restoreOver: names todo` + nothing + `todoRestoreFrom latest, or pulumi config rm restoreOver`},
		{"restoreIdentity", ageKey, `stateful-k3s:restoreIdentity: not a private key of age; for example: pulumi config set --secret restoreIdentity "$(grep AGE-SECRET-KEY key.txt)"`},

		{"backupRecipient", ageKey, `stateful-k3s:archivePassphrase: not set, though backupRecipient is, so that the archive would hold in plain text what backups hold encrypted; ` +
			`set it with: pulumi config set --secret archivePassphrase "$(openssl rand -hex 16)", or have no archive: pulumi config set archive false`},
		{"archive", "on", `stateful-k3s:archive: "on" is not true or false; for example: pulumi config set archive false`},
		{"archiveTimeout", "0s", `stateful-k3s:archiveTimeout: "0s" is not a time from 1s to 1h; for example: pulumi config set archiveTimeout 60s`},
		{"archiveTimeout", "61m", `stateful-k3s:archiveTimeout: "61m" is not a time from 1s to 1h; for example: pulumi config set archiveTimeout 60s`},
		{"archiveKeepDays", "0", `stateful-k3s:archiveKeepDays: "0" is not a number from 1 to 999; for example: pulumi config set archiveKeepDays 7`},
		{"archivePassphrase", "short", strings.Replace(password, "redisPassword", "archivePassphrase", 2)},
		{"storageSize", "1Mi", `stateful-k3s:storageSize: "1Mi" is not at least 256Mi; for example: pulumi config set storageSize 5Gi`},
		{"storageMemory", "32Mi", `stateful-k3s:storageMemory: "32Mi" is not at least 64Mi; for example: pulumi config set storageMemory 128Mi`},
		{"storageKeysVersion", "", `stateful-k3s:storageKeysVersion: "" is not a value; for example: pulumi config set storageKeysVersion 2`},
		{"storageTLSVersion", "", `stateful-k3s:storageTLSVersion: "" is not a value; for example: pulumi config set storageTLSVersion 2`},
		{"s3Endpoint", "http://s3.example.com", `stateful-k3s:s3Endpoint: "http://s3.example.com" ` + endpoint},
		{"s3Endpoint", "https://s3.example.com/backups", `stateful-k3s:s3Endpoint: "https://s3.example.com/backups" ` + endpoint},
		{"s3Endpoint", "https://key@s3.example.com", `stateful-k3s:s3Endpoint: "https://key@s3.example.com" ` + endpoint},
		{"s3Endpoint", "https://s3.example.com?a", `stateful-k3s:s3Endpoint: "https://s3.example.com?a" ` + endpoint},
		{"s3Endpoint", "s3.example.com", `stateful-k3s:s3Endpoint: "s3.example.com" ` + endpoint},
		{"s3Endpoint", "https://s3.example.com", `stateful-k3s:s3AccessKey: not set, though s3Endpoint is; set it with: pulumi config set --secret s3AccessKey
stateful-k3s:s3SecretKey: not set, though s3Endpoint is; set it with: pulumi config set --secret s3SecretKey`},
		{"s3AccessKey", "key", `stateful-k3s:s3Endpoint: not set, though s3AccessKey is` + elsewhere},
		{"s3SecretKey", "key", `stateful-k3s:s3Endpoint: not set, though s3SecretKey is` + elsewhere},
		{"s3Networks", "10.0.0.0/8", `stateful-k3s:s3Endpoint: not set, though s3Networks is` + elsewhere},
		{"s3CA", newAuthority(t), `stateful-k3s:s3Endpoint: not set, though s3CA is` + elsewhere},
		{"s3CA", "ca.crt", `stateful-k3s:s3CA: "ca.crt" is not certificates in PEM; for example: pulumi config set s3CA "$(cat ca.crt)"`},
		{"s3Networks", "10.0.0.0", `stateful-k3s:s3Networks: "10.0.0.0" is not a list of networks with spaces between them; for example: pulumi config set s3Networks 10.0.0.0/8`},
		{"s3Region", "eu north", `stateful-k3s:s3Region: "eu north" is not a region; for example: pulumi config set s3Region us-east-1`},
		{"s3Bucket", "My/Bucket", `stateful-k3s:s3Bucket: "My/Bucket" is not the name of a bucket; for example: pulumi config set s3Bucket backups`},
		{"s3Prefix", "/house", `stateful-k3s:s3Prefix: "/house" is not a folder of letters, digits, hyphens and underscores, or up to four with slashes between them; for example: pulumi config set s3Prefix production`},
		{"s3PathStyle", "yes", `stateful-k3s:s3PathStyle: "yes" is not true or false; for example: pulumi config set s3PathStyle true`},
		{"ingressClass", "", `stateful-k3s:ingressClass: "" is not an ingress class, or none; for example: pulumi config set ingressClass traefik`},
		{"ingressNamespace", "Kube System", `stateful-k3s:ingressNamespace: "Kube System" is not a namespace; for example: pulumi config set ingressNamespace kube-system`},
		{"ingressHost", "https://todo.example.com", `stateful-k3s:ingressHost: "https://todo.example.com" is not a host name; for example: pulumi config set ingressHost todo.example.com`},
		{"ingressHost", "10.0.0.1", `stateful-k3s:ingressHost: "10.0.0.1" is not a host name; for example: pulumi config set ingressHost todo.example.com`},
		{"ingressTLSSecret", "todo_tls", `stateful-k3s:ingressTLSSecret: "todo_tls" is not the name of a Secret; for example: pulumi config set ingressTLSSecret todo-tls`},
		{"ingressTLSSecret", "todo-tls", `stateful-k3s:ingressHost: not set, though ingressTLSSecret is; for example: pulumi config set ingressHost todo.example.com`},
		{"namePrefix", "alice-", `stateful-k3s:ingressHost: not set, though namePrefix is: stacks that share a cluster need names of their own; for example: pulumi config set ingressHost alice.example.com`},
		{"redisStorgeSize", "1Gi", `stateful-k3s:redisStorgeSize: no such setting; did you mean redisStorageSize? To remove it: pulumi config rm redisStorgeSize`},
		{"Registry", "x", `stateful-k3s:Registry: no such setting; did you mean registry? To remove it: pulumi config rm Registry`},
		{"redisPass", "x", `stateful-k3s:redisPass: no such setting; did you mean redisPassword? To remove it: pulumi config rm redisPass`},
		{"redis", "x", `stateful-k3s:redis: no such setting; did you mean redisImage or registry? To remove it: pulumi config rm redis`},
	} {
		t.Run(test.key+"="+test.value, func(t *testing.T) {
			noEnvironment(t)
			_, err := load(t, map[string]string{"registry": "registry.example.com", test.key: test.value}, secrets...)
			if test.key == "registry" {
				_, err = load(t, map[string]string{test.key: test.value}, secrets...)
			}
			require.EqualError(t, err, test.message)
		})
	}

	for _, key := range secrets {
		noEnvironment(t)
		_, err := load(t, map[string]string{"registry": "registry.example.com", key: "hunter2-hunter2"})
		require.EqualError(t, err, "stateful-k3s:"+key+": "+encrypted+key)
	}
}

// One setting too few is one fault, however many settings it makes useless.
func TestKeysWithoutAnEndpoint(t *testing.T) {
	noEnvironment(t)
	_, err := load(t, map[string]string{"registry": "registry.example.com", "s3AccessKey": "key", "s3SecretKey": "key"}, secrets...)
	require.EqualError(t, err, "stateful-k3s:s3Endpoint: not set, though s3AccessKey is; for example: pulumi config set s3Endpoint https://s3.example.com")
}

func TestFaultOfTheEnvironment(t *testing.T) {
	noEnvironment(t)
	t.Setenv("STATEFUL_K3S_REGISTRY", "team")
	_, err := load(t, nil)
	require.EqualError(t, err, `stateful-k3s:registry: not set, and $STATEFUL_K3S_REGISTRY, "team", is not a registry's host, with a path if it needs one; for example: pulumi config set registry registry.example.com/team`)
}

func TestAllFaultsAtOnce(t *testing.T) {
	noEnvironment(t)
	_, err := load(t, map[string]string{"namePrefix": "Alice", "redisMemory": "lots", "redisMemry": "1Gi", "storageclass": "fast"})
	require.EqualError(t, err, strings.Join([]string{
		`stateful-k3s:namePrefix: "Alice" is not a prefix of at most 32 small letters, digits and hyphens with a hyphen at its end; for example: pulumi config set namePrefix alice-`,
		`stateful-k3s:redisMemory: "lots" is not a Kubernetes quantity; for example: pulumi config set redisMemory 64Mi`,
		`stateful-k3s:registry: not set, and $STATEFUL_K3S_REGISTRY is not either; for example: pulumi config set registry registry.example.com/team`,
		`stateful-k3s:redisMemry: no such setting; did you mean redisMemory? To remove it: pulumi config rm redisMemry`,
		`stateful-k3s:storageclass: no such setting; did you mean storageClass? To remove it: pulumi config rm storageclass`,
	}, "\n"))
}

func TestSettingsOfOthersAreTheirs(t *testing.T) {
	t.Setenv("STATEFUL_K3S_REGISTRY", "registry.example.com")
	_, _ = recorder.Try(t, func(ctx *pulumi.Context) error {
		settings := os.Getenv(pulumi.EnvConfig)
		t.Setenv(pulumi.EnvConfig, strings.Replace(settings, "{", `{"kubernetes:context":"lab",`, 1))
		_, err := config.Load(ctx)
		require.NoError(t, err)
		return nil
	}, recorder.Config(recorder.Defaults(t)))
}

func TestProgramOutsideOfPulumi(t *testing.T) {
	t.Setenv("STATEFUL_K3S_REGISTRY", "registry.example.com")
	_, _ = recorder.Try(t, func(ctx *pulumi.Context) error {
		t.Setenv(pulumi.EnvConfig, "")
		_, err := config.Load(ctx)
		require.EqualError(t, err, "reading $PULUMI_CONFIG, which Pulumi sets: unexpected end of JSON input; run the program with pulumi up")
		return nil
	}, recorder.Config(recorder.Defaults(t)))
}

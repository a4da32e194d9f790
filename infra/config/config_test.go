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

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/backup"
	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/config"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/postgres"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
	"github.com/stateful-k3s/stateful-k3s/infra/todo"
)

var secrets = []string{
	"registryPassword", "pullPassword", "redisPassword", "postgresPassword", "postgresReaderPassword",
	"archivePassphrase", "s3AccessKey", "s3SecretKey",
	"restoreIdentity", "kubeconfig", "pingpongPostgresPassword", "todoPostgresPassword",
	"pingpongPostgresReaderPassword", "todoPostgresReaderPassword",
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

// Every key of Pulumi.yaml is read here, or it would be refused as unknown; every key that is read here is in
// Pulumi.yaml, or it would be reported as undeclared.
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
			Passwords:       map[string]pulumi.StringInput{},
			ReaderPasswords: map[string]pulumi.StringInput{},
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

		DNSServers:     kube.ClusterDNS,
		SecretVersions: map[string]kube.Versions{},
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

		"postgresImage":          "registry.example.com:5000/postgres:18",
		"postgresPassword":       "battery-staple",
		"postgresReaderPassword": "read-it-all",

		"todoPostgresPassword":           "of-todos-alone",
		"pingpongPostgresReaderPassword": "reads-pings-alone",

		"postgresPasswordVersion": "2026-12",
		"postgresTLSVersion":      "2027",
		"postgresStorageSize":     "10Gi",
		"postgresMemory":          "4Gi",
		"postgresParameters":      "work_mem=8MB; jit=off",

		"pingpongReplicas": "20",

		"todoBackendReplicas":  "3",
		"todoFrontendReplicas": "4",
		"todoAllowedOrigins":   "https://todo.example.com http://localhost:3000",
		"todoOwnOrigins":       "https://todo.example.com http://10.0.0.7:8080",
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
		"secretVersions":     "pingpong-certificate=2; pingpong-exporter = 3;todo-restorer=4;",

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
		"ingressNetworks":  "10.0.0.0/16 10.42.0.0/31",
		"ingressHost":      "stateful.example.com",
		"ingressTLSSecret": "stateful-tls",

		"dnsServers": "openshift-dns/dns.operator.openshift.io/daemonset-dns=default:5353  169.254.20.10/32",
	}, secrets...)
	require.NoError(t, err)

	require.Equal(t, "push it", known(t, cfg.Registry.Push.Password))
	require.Equal(t, "pull it", known(t, cfg.Registry.Pull.Password))
	require.Equal(t, "correct-horse", known(t, cfg.Redis.Password))
	for database, password := range map[string]string{"pingpong": "battery-staple", "todo": "of-todos-alone"} {
		require.Equal(t, password, known(t, cfg.Postgres.Passwords[database]))
	}
	for database, password := range map[string]string{"pingpong": "reads-pings-alone", "todo": "read-it-all"} {
		require.Equal(t, password, known(t, cfg.Postgres.ReaderPasswords[database]))
	}
	for _, restore := range cfg.Restore {
		require.Equal(t, ageIdentity, known(t, restore.Identity))
		restore.Identity = nil
	}
	require.Equal(t, "close-it-tight", known(t, cfg.Archive.Passphrase))
	require.Equal(t, "the access key", known(t, cfg.S3.AccessKey))
	require.Equal(t, "the secret key", known(t, cfg.S3.SecretKey))
	cfg.S3.AccessKey, cfg.S3.SecretKey, cfg.Archive.Passphrase = nil, nil, nil
	look, err := cfg.Registry.Auth.Authorization()
	require.NoError(t, err)
	require.Equal(t, &authn.AuthConfig{Username: "pusher", Password: "push it"}, look)
	cfg.Registry.Push.Password, cfg.Registry.Pull.Password, cfg.Registry.Auth, cfg.Redis.Password = nil, nil,
		nil, nil
	cfg.Postgres.Passwords, cfg.Postgres.ReaderPasswords = nil, nil
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
			OwnOrigins:       "https://todo.example.com http://10.0.0.7:8080",
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
		SecretVersions: map[string]kube.Versions{
			"pingpong": {"certificate": "2", "exporter": "3"}, "todo": {"restorer": "4"},
		},
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
			Networks: []kube.Network{{CIDR: "10.0.0.0/16"}, {CIDR: "10.42.0.0/31"}},
		},
		DNSServers: []kube.DNSServer{
			{Namespace: "openshift-dns",
				Labels: map[string]string{"dns.operator.openshift.io/daemonset-dns": "default"}, Port: 5353},
			{Network: "169.254.20.10/32", Port: 53},
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
	require.Equal(t, config.Registry{Path: "environment.example.com/team", Host: "environment.example.com"},
		cfg.Registry)
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

// One setting too few is one fault, however many settings it makes useless.
func TestKeysWithoutAnEndpoint(t *testing.T) {
	noEnvironment(t)
	_, err := load(t, map[string]string{"registry": "registry.example.com", "s3AccessKey": "key",
		"s3SecretKey": "key"}, secrets...)
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
	_, err := load(t, map[string]string{"namePrefix": "Alice", "redisMemory": "lots", "redisMemry": "1Gi",
		"storageclass": "fast"})
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
		t.Setenv(pulumi.EnvConfig, strings.Replace(settings, "{", `{"aws:region":"eu-north-1",`, 1))
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

const kubeconfig = `{"apiVersion": "v1", "kind": "Config", "contexts": [{"name": "prod", "context": {}}]}`

func TestWaysToTheCluster(t *testing.T) {
	noEnvironment(t)
	for name, test := range map[string]struct {
		settings map[string]string
		want     cluster.Access
	}{
		"context of the files": {map[string]string{"kubeContext": "prod"}, cluster.Access{Context: "prod"}},
		"kubeconfig": {map[string]string{"kubeconfig": kubeconfig, "kubeContext": "prod"},
			cluster.Access{Kubeconfig: kubeconfig, Context: "prod"}},
		"another stack": {map[string]string{"kubeconfigFrom": "alice/cluster/prod/kubeconfig"},
			cluster.Access{From: "alice/cluster/prod/kubeconfig"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.settings["registry"] = "registry.example.com"
			cfg, err := load(t, test.settings, secrets...)
			require.NoError(t, err)
			require.Equal(t, test.want, cfg.Cluster)
		})
	}
}

package config

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

type settings = map[string]string

// secretKeys returns the settings that must be encrypted, by their descriptions in Pulumi.yaml.
func secretKeys(t *testing.T) (keys []string) {
	t.Helper()
	for key, setting := range recorder.LoadProject(t).Config {
		if strings.Contains(setting.Description, "(secret)") {
			keys = append(keys, key)
		}
	}
	return keys
}

// load reads the defaults of Pulumi.yaml with changes, and with secrets encrypted.
func load(t *testing.T, changes settings) (*Config, error) {
	t.Helper()
	return loadWith(t, changes, secretKeys(t)...)
}

// loadWith reads the defaults of Pulumi.yaml, with changes and some keys encrypted.
func loadWith(t *testing.T, changes settings, encrypted ...string) (cfg *Config, err error) {
	t.Helper()
	all := recorder.Defaults(t)
	all["registry"] = "registry.example.com"
	maps.Copy(all, changes)
	return loadOnly(t, all, encrypted...)
}

func loadOnly(t *testing.T, all settings, encrypted ...string) (cfg *Config, err error) {
	t.Helper()
	_, _ = recorder.Try(t, func(ctx *pulumi.Context) error {
		cfg, err = Load(ctx)
		return err
	}, recorder.Config(all, encrypted...))
	return cfg, err
}

func noEnvironment(t *testing.T) {
	for _, variable := range []string{registryVariable, builderVariable, addressVariable} {
		t.Setenv(variable, "")
	}
}

// reveal returns the text of a value that must be secret.
func reveal(t *testing.T, value pulumi.StringInput) pulumi.String {
	t.Helper()
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		_, err := pulumi.NewStash(ctx, "value", &pulumi.StashArgs{Input: value})
		return err
	})
	input := recording.Get(t, "pulumi:index:Stash", "value").Inputs["input"]
	require.True(t, input.IsSecret())
	return pulumi.String(input.SecretValue().Element.StringValue())
}

// The golden manifests of package main show what each setting changes. That a setting is read at all shows
// here: an unread one would be refused as unknown.
func TestDeclarationsOfPulumiYAML(t *testing.T) {
	noEnvironment(t)
	project := recorder.LoadProject(t)
	require.Equal(t, recorder.Project, project.Name.String())
	require.Equal(t, "go", project.Runtime.Name())
	require.Equal(t, "infra", project.Main)
	for key, setting := range project.Config {
		t.Run(key, func(t *testing.T) {
			require.Greater(t, len(setting.Description), len("Size"))
			// Pulumi requires a setting without a default, and takes no default of a secret one.
			if key == databasesKey {
				require.Equal(t, "array", setting.TypeName())
				require.Equal(t, []any{}, setting.Default)
				return // the next file
			}
			require.Equal(t, "string", setting.TypeName())
			require.IsType(t, "", setting.Default)
			require.False(t, setting.Secret)

			_, err := loadWith(t, settings{key: "not-encrypted"})
			message := "stateful-k3s:" + key + ": not encrypted; encrypt it with: pulumi config set --secret " + key
			if slices.Contains(secretKeys(t), key) {
				require.EqualError(t, err, message)
			} else if err != nil {
				require.NotContains(t, err.Error(), message)
			}
		})
	}

	undeclared := recorder.Defaults(t)
	delete(undeclared, "storageClass")
	_, err := loadOnly(t, undeclared)
	require.ErrorContains(t, err, "stateful-k3s:storageClass: neither set nor declared in Pulumi.yaml, "+
		"which gives every setting a default; declare it there")
}

func TestPasswordsOfAllDatabases(t *testing.T) {
	noEnvironment(t)
	cfg, err := load(t, settings{"postgresPassword": "battery-staple"})
	require.NoError(t, err)
	for _, database := range cfg.Databases {
		require.EqualValues(t, "battery-staple", reveal(t, database.Server.Password))
		require.Nil(t, database.Server.ReaderPassword)
	}
}

func TestRegistry(t *testing.T) {
	noEnvironment(t)
	t.Setenv(registryVariable, "environment.example.com/team")
	t.Setenv(builderVariable, "from-the-environment")
	cfg, err := load(t, settings{"registry": ""})
	require.NoError(t, err)
	require.Equal(t, Registry{Path: "environment.example.com/team", Host: "environment.example.com",
		Builds: true}, cfg.Registry)
	require.Equal(t, "from-the-environment", cfg.Builder)

	cfg, err = load(t, settings{"registry": "", "images": "ghcr.io/alice@v1", "pullUsername": "alice",
		"pullPassword": "pull it"})
	require.NoError(t, err)
	require.Equal(t, &Published{"ghcr.io/alice", "v1"}, cfg.Published)
	require.Equal(t, "ghcr.io", cfg.Registry.Host)
	require.False(t, cfg.Registry.Builds)
	require.NotNil(t, cfg.Registry.Auth("ghcr.io/alice"))
	require.Nil(t, cfg.Registry.Auth("postgres:17"), "no other registry gets the login")

	cfg, err = load(t, settings{"images": "ghcr.io/alice@v1", "registryUsername": "alice",
		"registryPassword": "push it"})
	require.NoError(t, err)
	require.Equal(t, &Published{"ghcr.io/alice", "v1"}, cfg.Published)
	require.True(t, cfg.Registry.Builds)
	require.Nil(t, cfg.Registry.Auth("ghcr.io/alice"))
	require.NotNil(t, cfg.Registry.Auth(cfg.Registry.Path))

	cfg, err = load(t, settings{"registryUsername": "alice", "registryPassword": "push it"})
	require.NoError(t, err)
	require.Equal(t, "alice", cfg.Registry.Pull.Username, "who pushes pulls too")
	require.EqualValues(t, "push it", reveal(t, cfg.Registry.Pull.Password))
	auth, err := cfg.Registry.Auth(cfg.Registry.Path).Authorization()
	require.NoError(t, err)
	require.Equal(t, &authn.AuthConfig{Username: "alice", Password: "push it"}, auth)

	t.Setenv(registryVariable, "team")
	_, err = load(t, settings{"registry": ""})
	require.EqualError(t, err, `stateful-k3s:registry: not set, and $STATEFUL_K3S_REGISTRY, "team", is not `+
		`a registry's host, with a path if it needs one; for example: `+
		"pulumi config set registry registry.example.com/team")
}

func TestHostOfTheIngress(t *testing.T) {
	noEnvironment(t)
	const address = "10.231.1.2"
	for name, test := range map[string]struct {
		address, prefix, host string
		want                  string
	}{
		"any":                     {address, "", "", ""},
		"a stack of several":      {address, "alice-", "", "alice.10.231.1.2.sslip.io"},
		"set, in a lab":           {address, "alice-", "a.example.com", "a.example.com"},
		"set, in another cluster": {"", "alice-", "a.example.com", "a.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(addressVariable, test.address)
			cfg, err := load(t, settings{"namePrefix": test.prefix, "ingressHost": test.host})
			require.NoError(t, err)
			require.Equal(t, test.want, cfg.Ingress.Host)
		})
	}

	cfg, err := load(t, settings{"namePrefix": "alice-", "ingressClass": "none"})
	require.NoError(t, err)
	require.Nil(t, cfg.Ingress)
}

func TestListsOfSettings(t *testing.T) {
	noEnvironment(t)
	cfg, err := load(t, settings{
		"dnsServers":     "openshift-dns/dns.operator.openshift.io/daemonset-dns=default:5353  169.254.20.10/32",
		"s3Networks":     "10.1.3.0/24 fd00::/8",
		"secretVersions": "pingpong-owner=2; pingpong-reader = 3;todo-certificate=4;",
		"s3Endpoint":     "https://s3.example.com:9000/", "s3AccessKey": "a", "s3SecretKey": "b",
	})
	require.NoError(t, err)
	require.Equal(t, []kube.DNSServer{
		{Namespace: "openshift-dns", Port: 5353,
			Labels: map[string]string{"dns.operator.openshift.io/daemonset-dns": "default"}},
		{Network: "169.254.20.10/32", Port: 53},
	}, cfg.DNSServers)
	require.Equal(t, []kube.Network{{CIDR: "10.1.3.0/24"}, {CIDR: "fd00::/8"}}, cfg.S3.Networks)
	require.Equal(t, "https://s3.example.com:9000", string(cfg.S3.Endpoint.(pulumi.String)))
	require.Equal(t, map[string]kube.Versions{
		"pingpong": {"owner": "1 2", "reader": "1 3"}, "todo": {"certificate": "1 4"},
	}, cfg.SecretVersions)
}

func TestAccessToTheCluster(t *testing.T) {
	noEnvironment(t)
	for name, test := range map[string]struct {
		settings settings
		want     cluster.Access
	}{
		"context of the files": {settings{"kubeContext": "prod"}, cluster.Access{Context: "prod"}},
		"kubeconfig": {settings{"kubeconfig": testKubeconfig, "kubeContext": "prod"},
			cluster.Access{Kubeconfig: testKubeconfig, Context: "prod"}},
		"another stack": {settings{"kubeconfigFrom": "alice/cluster/prod/kubeconfig"},
			cluster.Access{From: "alice/cluster/prod/kubeconfig"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := load(t, test.settings)
			require.NoError(t, err)
			require.Equal(t, test.want, cfg.Cluster)
		})
	}
}

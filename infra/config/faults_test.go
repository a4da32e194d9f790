package config

import (
	"regexp"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// The program checks every setting, so a preview does too. The message has the key, the value unless it is
// secret, what it should be, and an example that is right.
func TestMessagesOfWrongSettings(t *testing.T) {
	noEnvironment(t)
	secret := map[string]bool{}
	for _, key := range secretKeys(t) {
		secret[key] = true
	}
	for key := range recorder.LoadProject(t).Config {
		if key == databasesKey {
			continue // TestWrongListsOfDatabases
		}
		t.Run(key, func(t *testing.T) {
			fault := "stateful-k3s:" + key + `: "(?: |=:)" is not .+; for example: pulumi config set ` + key + " (.+)"
			if secret[key] {
				fault = "stateful-k3s:" + key + ": not .+; for example: pulumi config set --secret " + key + "(?: (.+))?"
			}
			message := regexp.MustCompile("^" + fault + "$")
			var example []string
			for _, wrong := range []string{" ", "=:"} {
				if _, err := load(t, settings{key: wrong}); err != nil && example == nil {
					example = message.FindStringSubmatch(err.Error())
				}
			}
			require.NotEmpty(t, example, "no wrong value is refused as it should be")
			if value := strings.Trim(example[1], `"`); !strings.Contains(value, "$(") {
				_, err := load(t, settings{key: value})
				require.NotRegexp(t, fault, err)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	noEnvironment(t)
	for key, outside := range map[string][]string{
		"redisMemory": {"15Mi", "17Ti"}, "postgresMemory": {"127Mi", "17Ti"}, "backupMemory": {"255Mi"},
		"storageMemory": {"63Mi"}, "redisStorageSize": {"1023Ki", "2Pi"}, "postgresStorageSize": {"255Mi", "2Pi"},
		"backupScratchSize": {"255Mi"}, "storageSize": {"255Mi"},
		"pingpongReplicas": {"0", "21"}, "todoBackendReplicas": {"0", "21"}, "todoFrontendReplicas": {"0", "21"},
		"backupKeepDaily": {"1000"}, "backupKeepWeekly": {"1000"}, "backupKeepMonthly": {"1000"},
		"backupCompression": {"0", "20"}, "archiveKeepDays": {"0", "1000"},
		"backupTimeout": {"59s", "25h"}, "archiveTimeout": {"0s", "61m"},
		"prometheusMemory": {"127Mi"}, "prometheusStorageSize": {"255Mi"}, "prometheusKeepDays": {"0"},
		"prometheusImage": {"prom/prometheus"},
		"postgresImage":   {"postgres:16"}, "redisImage": {"redis"},
	} {
		for _, value := range outside {
			_, err := load(t, settings{key: value})
			require.ErrorContains(t, err, "stateful-k3s:"+key+`: "`+value+`" is not `)
		}
	}
}

// contradictions are settings that are right apart and wrong together, and what is said of them, without the
// project's name.
var contradictions = []struct {
	settings settings
	message  string
}{
	{settings{"registry": ""}, "registry: not set, and $STATEFUL_K3S_REGISTRY is not either; for example: " +
		"pulumi config set registry registry.example.com/team"},
	{settings{"registryUsername": "alice"}, "registryPassword: not set, though registryUsername is; " +
		"set it with: pulumi config set --secret registryPassword"},
	{settings{"registryPassword": "push it"}, "registryUsername: not set, though registryPassword is; " +
		"for example: pulumi config set registryUsername alice"},
	{settings{"pullUsername": "alice"}, "pullPassword: not set, though pullUsername is; " +
		"set it with: pulumi config set --secret pullPassword"},
	{settings{"pullPassword": "pull it"}, "pullUsername: not set, though pullPassword is; " +
		"for example: pulumi config set pullUsername alice"},
	{settings{"registryUsername": "a:b", "registryPassword": "x"}, `registryUsername: "a:b" is not ` +
		"a user's name, without a colon; for example: pulumi config set registryUsername alice"},
	{settings{"images": "registry.example.com/team@v1", "registry": "", "builder": "mine"}, "builder: set, " +
		"though no image is built, since images is registry.example.com/team@v1 and registry is not set; " +
		"for example: pulumi config rm builder"},
	{settings{"kubeconfig": testKubeconfig, "kubeconfigFrom": "alice/cluster/prod/kubeconfig"},
		"kubeconfigFrom: set, though kubeconfig is; for example: pulumi config rm kubeconfigFrom"},

	{settings{"restoreFrom": "end-7711158423862165527-2"}, "restoreFrom: end-7711158423862165527-2 is of one " +
		"database; for example: pulumi config set --path 'databases[0].name' pingpong && " +
		"pulumi config set --path 'databases[0].restoreFrom' end-7711158423862165527-2 && " +
		"pulumi config rm restoreFrom"},
	{settings{"restoreFrom": "20261122T020000Z-1a2b3c"}, "restoreFrom: 20261122T020000Z-1a2b3c is of one " +
		"database; for example: pulumi config set --path 'databases[0].name' pingpong && " +
		"pulumi config set --path 'databases[0].restoreFrom' 20261122T020000Z-1a2b3c && " +
		"pulumi config rm restoreFrom"},
	{settings{"restoreOver": "todo"}, `restoreOver: set for "todo", which is restored from nothing; ` +
		"for example: pulumi config set --path 'databases[0].name' todo && " +
		"pulumi config set --path 'databases[0].restoreFrom' latest, or pulumi config rm restoreOver"},
	{settings{"backupRecipient": ageKey}, "archivePassphrase: not set, though backupRecipient is, " +
		"so that the archive would hold in plain text what backups hold encrypted; set it with: " +
		`pulumi config set --secret archivePassphrase "$(openssl rand -hex 16)", ` +
		"or have no archive: pulumi config set archive false"},

	{settings{"s3Endpoint": "https://s3.example.com"},
		"s3AccessKey: not set, though s3Endpoint is; set it with: pulumi config set --secret s3AccessKey\n" +
			"s3SecretKey: not set, though s3Endpoint is; set it with: pulumi config set --secret s3SecretKey"},
	{settings{"s3AccessKey": "key", "s3SecretKey": "key"}, "s3Endpoint: not set, though s3AccessKey is; " +
		"for example: pulumi config set s3Endpoint https://s3.example.com"},
	{settings{"s3SecretKey": "key"}, "s3Endpoint: not set, though s3SecretKey is; " +
		"for example: pulumi config set s3Endpoint https://s3.example.com"},
	{settings{"s3Networks": "10.0.0.0/8"}, "s3Endpoint: not set, though s3Networks is; " +
		"for example: pulumi config set s3Endpoint https://s3.example.com"},
	{settings{"s3Prefix": "house"}, "s3Endpoint: not set, though s3Prefix is; " +
		"for example: pulumi config set s3Endpoint https://s3.example.com"},
	{settings{"s3Endpoint": "https://10.0.0.5:9000", "s3AccessKey": "a", "s3SecretKey": "b"},
		"s3Networks: not set, though s3Endpoint is in a private network; " +
			"for example: pulumi config set s3Networks 10.0.0.5/32"},
	{settings{"backupHeartbeatUrl": "https://hc-ping.com/hunter2"}, "backupHeartbeatUrl: not an http or https " +
		"address with {database} in its path; for example: " +
		`pulumi config set --secret backupHeartbeatUrl "https://hc-ping.com/KEY/{database}"`},
	{settings{"backupHeartbeatUrl": "http://10.0.0.5:8000/{database}"}, "backupHeartbeatNetworks: not set, " +
		"though backupHeartbeatUrl is in a private network; for example: " +
		"pulumi config set backupHeartbeatNetworks 10.0.0.5/32"},
	{settings{"backupHeartbeatNetworks": "10.0.0.0/8"}, "backupHeartbeatUrl: not set, though " +
		"backupHeartbeatNetworks is; set it with: pulumi config set --secret backupHeartbeatUrl"},
	{settings{"articleUrl": "https://[fd00::1]/x"}, "articleNetworks: not set, though articleUrl " +
		"is in a private network; for example: pulumi config set articleNetworks fd00::1/128"},

	{settings{"ingressTLSSecret": "todo-tls"}, "ingressHost: not set, though ingressTLSSecret is; " +
		"for example: pulumi config set ingressHost www.example.com"},
	{settings{"ingressIssuer": "letsencrypt"}, "ingressHost: not set, though ingressIssuer is; " +
		"for example: pulumi config set ingressHost www.example.com"},
	{settings{"ingressIssuer": "Let's Encrypt", "ingressHost": "a.example.com"},
		`ingressIssuer: "Let's Encrypt" is not the name of a ClusterIssuer; ` +
			"for example: pulumi config set ingressIssuer letsencrypt"},
	{settings{"ingressAnnotations": "a b=c"}, `ingressAnnotations: "a b=c" is not a list of annotations: ` +
		`"a b" is no name of one; ` +
		`for example: pulumi config set ingressAnnotations "nginx.ingress.kubernetes.io/limit-rps=20"`},
	{settings{"ingressAnnotations": "pulumi.com/skipAwait=true"},
		`ingressAnnotations: "pulumi.com/skipAwait=true" is not a list of annotations: pulumi.com/skipAwait is ` +
			"not yours to set; " +
			`for example: pulumi config set ingressAnnotations "nginx.ingress.kubernetes.io/limit-rps=20"`},
	{settings{"ingressAnnotations": "cert-manager.io/cluster-issuer=letsencrypt"},
		`ingressAnnotations: "cert-manager.io/cluster-issuer=letsencrypt" is not a list of annotations: ` +
			"ingressIssuer sets cert-manager.io/cluster-issuer; " +
			`for example: pulumi config set ingressAnnotations "nginx.ingress.kubernetes.io/limit-rps=20"`},
	{settings{"ingressClass": "none", "ingressAnnotations": "a=b"}, "ingressAnnotations: set, though " +
		"ingressClass is none; for example: pulumi config rm ingressAnnotations"},
	{settings{"ingressClass": "none", "gateway": "web/public"}, "gateway: set, though ingressClass is none; " +
		"for example: pulumi config rm gateway"},
	{settings{"gateway": "web/public", "ingressIssuer": "letsencrypt", "ingressHost": "a.example.com"},
		"ingressIssuer: set, though gateway is: certificates belong to the Gateway's listeners, also those of " +
			"cert-manager; for example: pulumi config rm ingressIssuer"},
	{settings{"gateway": "web/public", "ingressTLSSecret": "a", "ingressHost": "a.example.com"},
		"ingressTLSSecret: set, though gateway is: certificates belong to the Gateway's listeners, also those of " +
			"cert-manager; for example: pulumi config rm ingressTLSSecret"},
	{settings{"namePrefix": "alice-"}, "ingressHost: not set, though namePrefix is: stacks that share a " +
		"cluster need names of their own; for example: pulumi config set ingressHost alice.example.com"},
	{settings{"ingressClass": "none", "ingressHost": "a.example.com"}, "ingressHost: set, though ingressClass " +
		"is none; for example: pulumi config rm ingressHost"},
	{settings{"ingressClass": "none", "ingressNetworks": "10.0.0.0/16"}, "ingressNetworks: set, though " +
		"ingressClass is none; for example: pulumi config rm ingressNetworks"},
	{settings{"ingressClass": "none", "ingressTLSSecret": "a"}, "ingressTLSSecret: set, though ingressClass " +
		"is none; for example: pulumi config rm ingressTLSSecret"},

	{settings{"monitoringNamespace": "watch", "monitoringLabels": "app=prometheus"}, "monitoringNamespace: " +
		"set, though monitoring is none; for example: pulumi config rm monitoringNamespace\n" +
		"monitoringLabels: set, though monitoring is none; for example: pulumi config rm monitoringLabels"},
	{settings{"monitoring": "annotations", "monitoringObjectLabels": "release=watch"},
		"monitoringObjectLabels: set, though monitoring is annotations; for example: " +
			"pulumi config rm monitoringObjectLabels"},
	{settings{"prometheusIngress": "true"}, "prometheusIngress: true, though monitoring is none; " +
		"for example: pulumi config rm prometheusIngress"},
	{settings{"monitoring": "builtin", "prometheusIngress": "true", "ingressClass": "none"},
		"prometheusIngress: true, though ingressClass is none; for example: pulumi config rm prometheusIngress"},

	{settings{"redisMemory": "1.5Gi"}, `redisStorageSize: "100Mi" is not at least one and a half times ` +
		"redisMemory, which is 1.5Gi; for example: pulumi config set redisStorageSize 2304Mi"},
	{settings{"postgresParameters": "shared_buffers=512MB"}, "postgresParameters: shared_buffers: 512MB does " +
		"not fit into the memory limit of 512Mi; for example: " +
		`pulumi config set postgresParameters "shared_buffers=128MB; max_connections=100"`},
	{settings{"postgresParameters": "work_mem=8MB, jit=off"}, `postgresParameters: work_mem: "8MB, jit=off" ` +
		"is not a size such as 64MB; for example: " +
		`pulumi config set postgresParameters "shared_buffers=128MB; max_connections=100"`},
	{settings{"postgresParameters": "max_connections=ten"}, `postgresParameters: max_connections: "ten" ` +
		"is not a number; for example: " +
		`pulumi config set postgresParameters "shared_buffers=128MB; max_connections=100"`},
	{settings{"postgresMemory": "128Mi", "pingpongReplicas": "5", "todoBackendReplicas": "7"},
		"pingpongReplicas: 5 pods need 42 connections of Postgres, which has 32; for example: " +
			"pulumi config set postgresMemory 512Mi, or max_connections=42 in postgresParameters\n" +
			"todoBackendReplicas: 7 pods need 52 connections of Postgres, which has 32; for example: " +
			"pulumi config set postgresMemory 512Mi, or max_connections=52 in postgresParameters"},

	{settings{"redisPassword": "hunter2-hunter2", "secretVersions": "redis-password=2"},
		replaced("redis-password", "redisPassword")},
	{settings{"postgresPassword": "hunter2-hunter2", "secretVersions": "todo-owner=2"},
		replaced("todo-owner", "postgresPassword")},
	{settings{"redisPassword": "hunter2-hunter2", "secretVersions": "redis=2; postgres=2"},
		replaced("redis", "redisPassword")},
	{settings{"s3Endpoint": "https://s3.example.com", "s3AccessKey": "key", "s3SecretKey": "key",
		"secretVersions": "storage-project-key=2; storage=2"}, replaced("storage", "s3Endpoint") + "\n" +
		replaced("storage-project-key", "s3Endpoint")},
}

func replaced(secret, key string) string {
	return "secretVersions: " + secret + " has a version, which is without effect since " + key +
		" is set; leave it out; for example: pulumi config rm secretVersions"
}

func TestContradictions(t *testing.T) {
	noEnvironment(t)
	for _, test := range contradictions {
		_, err := load(t, test.settings)
		require.EqualError(t, err, "stateful-k3s:"+strings.ReplaceAll(test.message, "\n", "\nstateful-k3s:"))
	}
}

func TestUnknownSettings(t *testing.T) {
	noEnvironment(t)
	for key, meant := range map[string]string{
		"redisStorgeSize": "redisStorageSize", "Registry": "registry", "redisPass": "redisPassword",
		"redis": "redisImage or registry", "dailyTodoTimezone": "dailyTodoTimeZone",
		"redisPasword": "redisPassword", "s3_bucket": "s3Bucket", "archiveKeepdays": "archiveKeepDays",
		"replicas": "pingpongReplicas", "redis_memory": "redisMemory", "postgres": "postgresImage",
	} {
		_, err := load(t, settings{key: "x"})
		require.EqualError(t, err, "stateful-k3s:"+key+": no such setting; did you mean "+meant+
			"? To remove it: pulumi config rm "+key)
	}
	_, err := load(t, settings{"kubernetes:context": "prod"})
	require.EqualError(t, err, "kubernetes:context: has no effect on this stack: choose its cluster with "+
		"kubeContext, kubeconfig or kubeconfigFrom; for example: pulumi config set kubeContext my-cluster. "+
		"To remove it: pulumi config rm kubernetes:context")
	_, err = load(t, settings{"aws:region": "eu-north-1"})
	require.NoError(t, err, "a setting of another provider")
}

func TestAllFaultsAtOnce(t *testing.T) {
	noEnvironment(t)
	_, err := load(t, settings{"registry": "", "namePrefix": "Alice", "redisMemory": "lots",
		"redisMemry": "1Gi"})
	require.EqualError(t, err, strings.Join([]string{
		`stateful-k3s:namePrefix: "Alice" is not a prefix of at most 32 small letters, digits and hyphens with ` +
			"a hyphen at its end; for example: pulumi config set namePrefix alice-",
		`stateful-k3s:redisMemory: "lots" is not a Kubernetes quantity; for example: ` +
			"pulumi config set redisMemory 64Mi",
		"stateful-k3s:registry: not set, and $STATEFUL_K3S_REGISTRY is not either; for example: " +
			"pulumi config set registry registry.example.com/team",
		"stateful-k3s:redisMemry: no such setting; did you mean redisMemory? To remove it: " +
			"pulumi config rm redisMemry",
	}, "\n"))
}

// People paste secrets into the wrong setting, and others read the log of an update.
func TestMessagesShowNoSecret(t *testing.T) {
	noEnvironment(t)
	for key, test := range map[string]struct{ value, shown string }{
		"articleUrl":      {"https://alice:hunter2@wiki.example.com", `"https://…@wiki.example.com"`},
		"s3Endpoint":      {"https://hunter2@s3.example.com", `"https://…@s3.example.com"`},
		"registry":        {"alice:hunter2@registry.example.com:5000/team", `"…@registry.example.com:5000/team"`},
		"backupRecipient": {ageIdentity, `"…"`},
	} {
		_, err := load(t, settings{key: test.value})
		require.ErrorContains(t, err, "stateful-k3s:"+key+": "+test.shown+" is not ")
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestProgramOutsideOfPulumi(t *testing.T) {
	noEnvironment(t)
	_, _ = recorder.Try(t, func(ctx *pulumi.Context) error {
		t.Setenv(pulumi.EnvConfig, "")
		_, err := Load(ctx)
		require.ErrorContains(t, err, "reading $PULUMI_CONFIG, which Pulumi sets: unexpected end of JSON input; "+
			"run the program with pulumi up")
		return nil
	}, recorder.Config(recorder.Defaults(t)))
}

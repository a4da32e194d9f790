package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// withoutCluster is the program without a cluster or a registry to ask.
var withoutCluster = whoseRegistryHasLost()

// whoseRegistryHasLost is the same with a registry that has lost images of apps.
func whoseRegistryHasLost(apps ...string) pulumi.RunFunc {
	preflight := func(cluster.Requirements, *pulumi.Context, cluster.Access) (pulumi.StringInput, error) {
		return pulumi.String("its kubeconfig"), nil
	}
	return stack(preflight, func(_ context.Context, refs map[string]string, _ authn.Authenticator) map[string]bool {
		lost := map[string]bool{}
		for _, app := range apps {
			if refs[app] == built(app) {
				lost[app] = true
			}
		}
		return lost
	})
}

// built is what the registry calls an app's image.
func built(app string) string {
	return "registry.example.com/team/" + app + ":dev@" + recorder.Digest
}

// settings are the defaults with changes, and with a registry.
func settings(t *testing.T, changes map[string]string) recorder.Option {
	all := recorder.Defaults(t)
	all["registry"] = "registry.example.com/team"
	maps.Copy(all, changes)
	return recorder.Config(all,
		"registryPassword", "pullPassword", "redisPassword", "postgresPassword", "postgresReaderPassword",
		"archivePassphrase", "s3AccessKey", "s3SecretKey",
		"pingpongPostgresPassword", "todoPostgresPassword", "pingpongPostgresReaderPassword",
		"todoPostgresReaderPassword")
}

// everything is what the program declares besides the parts of each component, which have tests of their own.
var everything = []string{
	"backup docker-build:index:Image",
	"daily-todo docker-build:index:Image",
	"exercises kubernetes:core/v1:Namespace",
	"exercises-default-deny kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"exercises-dns kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"k3s pulumi:providers:kubernetes",
	"pingpong docker-build:index:Image",
	"pingpong stateful-k3s:pingpong:Pingpong",
	"pingpong-backup stateful-k3s:backup:Backup",
	"pingpong-postgres stateful-k3s:postgres:Postgres",
	"postgres docker-build:index:Image",
	"postgres-exporter docker-build:index:Image",
	"project kubernetes:core/v1:Namespace",
	"project-default-deny kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"project-dns kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"redis stateful-k3s:redis:Redis",
	"redisfiller docker-build:index:Image",
	"storage docker-build:index:Image",
	"storage kubernetes:core/v1:Namespace",
	"storage stateful-k3s:storage:Storage",
	"storage-default-deny kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"storage-dns kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"todo stateful-k3s:todo:Todo",
	"todo-backend docker-build:index:Image",
	"todo-backup stateful-k3s:backup:Backup",
	"todo-frontend docker-build:index:Image",
	"todo-postgres stateful-k3s:postgres:Postgres",
}

// declared lists what has no component for a parent.
func declared(recording *recorder.Recording) []string {
	return slices.DeleteFunc(recording.Names(), func(name string) bool {
		return strings.Contains(strings.Fields(name)[0], "/")
	})
}

func TestProgram(t *testing.T) {
	recording := recorder.Run(t, withoutCluster, settings(t, nil),
		recorder.Outputs("kubernetes:networking.k8s.io/v1:Ingress",
			resource.NewPropertyMapFromMap(map[string]any{
				"status": map[string]any{"loadBalancer": map[string]any{"ingress": []any{map[string]any{"ip": "10.231.1.2"}}}},
			})))

	require.Equal(t, everything, declared(recording))
	images := map[string]any{}
	for _, app := range []string{"backup", "daily-todo", "pingpong", "postgres", "postgres-exporter",
		"redisfiller", "storage", "todo-backend", "todo-frontend"} {
		images[app] = built(app)
	}
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{
		"namespaces": map[string]any{"exercises": "exercises", "project": "project", "storage": "storage"},
		"volumes": map[string]any{
			"owner":        "organization.dev",
			"storageClass": "local-path",
			"sizes": map[string]any{"redisStorageSize": "100Mi", "postgresStorageSize": "1Gi",
				"storageSize": "5Gi"},
		},
		"data":   "is in the claims of the namespaces exercises, project and storage. They stay after a destroy, and the next up takes them up again; only make purge deletes them",
		"images": images,
		"backups": map[string]any{
			"pingpong": "https://storage-svc.storage.svc:9000/backups/exercises",
			"todo":     "https://storage-svc.storage.svc:9000/backups/project",
		},
		"pingpong":     "pingpong-svc.exercises.svc:80",
		"todoBackend":  "todo-backend-svc.project.svc:80",
		"todoFrontend": "todo-frontend-svc.project.svc:80",
		"pingpongUrl":  "http://10.231.1.2/pingpong",
		"todoUrl":      "http://10.231.1.2/",
		"postgres": map[string]any{"pingpong": "postgres-svc.exercises.svc:5432",
			"todo": "postgres-svc.project.svc:5432"},
		"redis": []any{"redis-stset-0.redis-svc.exercises.svc:6379",
			"redis-stset-1.redis-svc.exercises.svc:6379"},
	}), recording.Outputs(""))
	statefulSet := recorder.Object[*appsv1.StatefulSet](recording, "redis-statefulset")
	require.Equal(t, built("redisfiller"), statefulSet.Spec.Template.Spec.Containers[0].Image)
	require.Contains(t, recording.Get(t, "kubernetes:apps/v1:StatefulSet", "redis-statefulset").DependsOn(),
		"redisfiller")
	require.Contains(t, recording.Get(t, "kubernetes:apps/v1:StatefulSet",
		"pingpong-postgres-statefulset").DependsOn(), "postgres-exporter")
	require.Contains(t, recording.Get(t, "kubernetes:apps/v1:StatefulSet",
		"pingpong-postgres-statefulset").DependsOn(), "postgres")
	for name, app := range map[string]string{"pingpong-deployment": "pingpong",
		"todo-backend-deployment": "todo-backend", "todo-frontend-deployment": "todo-frontend"} {
		require.Contains(t, recording.Get(t, "kubernetes:apps/v1:Deployment", name).DependsOn(), app)
	}
	require.Contains(t, recording.Get(t, "kubernetes:batch/v1:CronJob", "todo-daily-cronjob").DependsOn(),
		"daily-todo")
	require.Contains(t, recording.Get(t, "kubernetes:apps/v1:StatefulSet", "storage-statefulset").DependsOn(),
		"storage")
	for name, database := range map[string]string{"pingpong-backup-job": "pingpong-postgres-statefulset",
		"todo-backup-job": "todo-postgres-statefulset"} {
		require.Subset(t, recording.Get(t, "kubernetes:batch/v1:Job", name).DependsOn(),
			[]string{"backup", database, "storage-statefulset"})
	}
}

// What uses a database comes after its restore, and each database has its own.
func TestAppsStartAfterTheRestore(t *testing.T) {
	recording := recorder.Run(t, withoutCluster, settings(t, map[string]string{
		"restoreFrom": "latest", "todoRestoreFrom": "20261122T020000Z-1a2b3c", "restoreOver": "todo",
	}))
	for of, part := range map[string]struct {
		later []string
		env   map[string]string
	}{
		"pingpong": {[]string{"pingpong-deployment", "pingpong-backup-job"},
			map[string]string{"RESTORE_FROM": "latest"}},
		"todo": {[]string{"todo-backend-deployment", "todo-backup-job"},
			map[string]string{"RESTORE_FROM": "20261122T020000Z-1a2b3c", "RESTORE_OVER": "todo"}},
	} {
		job := of + "-backup-restore-job"
		env := map[string]string{}
		for _, variable := range recorder.Object[*batchv1.Job](recording,
			job).Spec.Template.Spec.Containers[0].Env {
			if strings.HasPrefix(variable.Name, "RESTORE_") && variable.Name != "RESTORE_REQUEST" {
				env[variable.Name] = variable.Value
			}
		}
		require.Equal(t, part.env, env)
		for _, recorded := range recording.All() {
			if slices.Contains(part.later, recorded.URN.Name()) {
				require.Contains(t, recorded.DependsOn(), job, recorded.URN)
			}
		}
	}
}

// Only the servers and the backups' own programs are of the databases' version: another one builds no other
// image anew.
func TestImagesThatHaveTheProgramsOfTheDatabases(t *testing.T) {
	recording := recorder.Run(t, withoutCluster, settings(t, map[string]string{"postgresImage": "postgres:18"}))
	for _, recorded := range recording.All() {
		if string(recorded.URN.Type()) == "docker-build:index:Image" {
			argument, given := recorded.Inputs["buildArgs"].ObjectValue()["POSTGRES_IMAGE"]
			require.Equal(t, slices.Contains([]string{"backup", "postgres"}, recorded.URN.Name()), given, recorded.URN)
			if given {
				require.Equal(t, "postgres:18", argument.StringValue())
			}
		}
	}
}

func TestWithoutAnArchiveNothingOfItIsThere(t *testing.T) {
	recording := recorder.Run(t, withoutCluster,
		settings(t, map[string]string{"archive": "false", "postgresImage": "postgres:18"}))
	require.Equal(t, slices.DeleteFunc(slices.Clone(everything),
		func(name string) bool { return name == "postgres docker-build:index:Image" }), declared(recording))
	for _, name := range recording.Names() {
		require.NotContains(t, name, "archive")
	}
	pod := recorder.Object[*appsv1.StatefulSet](recording, "todo-postgres-statefulset").Spec.Template.Spec
	require.Len(t, pod.Containers, 2)
	require.Equal(t, "postgres:18", pod.Containers[0].Image)
}

func TestProgramInPreview(t *testing.T) {
	recording := recorder.Run(t, withoutCluster, settings(t, nil), recorder.Preview())
	require.Equal(t, everything, declared(recording))
}

// What the program declares, it asks first whether it may declare.
func TestRightsAreAskedForAllThatIsDeclared(t *testing.T) {
	kinds := []schema.GroupResource{}
	for _, recorded := range recorder.Run(t, withoutCluster, settings(t, nil)).All() {
		if recorded.Object == nil || strings.HasSuffix(string(recorded.URN.Type()), ":Namespace") {
			continue
		}
		plural, _ := meta.UnsafeGuessKindToResource(recorded.Object.GetObjectKind().GroupVersionKind())
		if kind := plural.GroupResource(); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	require.ElementsMatch(t, cluster.Declared, kinds)
}

func TestEveryObjectGoesThroughTheOneProvider(t *testing.T) {
	recording := recorder.Run(t, withoutCluster, settings(t, nil))
	for _, recorded := range recording.All() {
		if recorded.Object != nil {
			require.Equal(t, "k3s", recorded.Provider(), recorded.URN)
		}
	}
}

// What holds data or serves other stacks outlives the stack; all else goes with it.
func TestWhatDestroyKeeps(t *testing.T) {
	recording := recorder.Run(t, withoutCluster, settings(t, nil))
	kept := []string{}
	for _, recorded := range recording.All() {
		if recorded.Request.GetRetainOnDelete() {
			kept = append(kept, recorded.URN.Name())
		}
		require.False(t, recorded.Request.GetProtect(), recorded.URN)
	}
	require.ElementsMatch(t, []string{
		"exercises", "project", "storage",
		"backup", "daily-todo", "pingpong", "postgres", "postgres-exporter", "redisfiller", "storage",
		"todo-backend", "todo-frontend",
	}, kept)
}

func TestEverySettingArrives(t *testing.T) {
	recording := recorder.Run(t, withoutCluster, settings(t, map[string]string{
		"namePrefix":           "alice-",
		"registryUsername":     "pusher",
		"registryPassword":     "push-it-there",
		"pullUsername":         "puller",
		"pullPassword":         "pull-it-here",
		"builder":              "mybuilder",
		"storageClass":         "longhorn",
		"redisImage":           "redis:8.2",
		"redisPassword":        "correct-horse",
		"redisPasswordVersion": "2",
		"redisStorageSize":     "1Gi",
		"redisMemory":          "128Mi",

		"postgresImage":           "postgres:18",
		"postgresPassword":        "battery-staple",
		"postgresReaderPassword":  "read-it-all",
		"postgresPasswordVersion": "3",
		"postgresTLSVersion":      "4",
		"postgresStorageSize":     "5Gi",
		"postgresMemory":          "1Gi",
		"postgresParameters":      "jit=off",

		"pingpongReplicas": "3",

		"todoBackendReplicas":  "4",
		"todoFrontendReplicas": "5",
		"todoAllowedOrigins":   "https://shop.example.com",
		"todoOwnOrigins":       "https://todo.example.com",
		"dailyTodoSchedule":    "30 7 * * *",
		"dailyTodoTimeZone":    "Europe/Helsinki",
		"articleUrl":           "https://wiki.example.com:8443/random",
		"articleNetworks":      "10.1.2.0/24",

		"backupSchedule":    "30 4 * * 0",
		"backupTimeZone":    "Europe/Helsinki",
		"backupKeepDaily":   "1",
		"backupKeepWeekly":  "2",
		"backupKeepMonthly": "3",
		"backupScratchSize": "40Gi",
		"backupMemory":      "768Mi",
		"backupCompression": "19",
		"backupRecipient":   ageKey,
		"backupTimeout":     "90m",

		"archiveTimeout":    "30s",
		"archiveKeepDays":   "14",
		"archivePassphrase": "close-it-tight",

		"storageSize":        "50Gi",
		"storageMemory":      "256Mi",
		"storageKeysVersion": "5",
		"storageTLSVersion":  "6",

		"ingressClass":     "nginx",
		"ingressNamespace": "ingress-nginx",
		"ingressHost":      "stateful.example.com",
		"ingressTLSSecret": "stateful-tls",
	}))

	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{
		"exercises": "alice-exercises", "project": "alice-project", "storage": "alice-storage",
	}), recording.Outputs("")["namespaces"].ObjectValue())
	image := recording.Get(t, "docker-build:index:Image", "redisfiller").Inputs
	require.Equal(t, "mybuilder", image["builder"].ObjectValue()["name"].StringValue())
	require.Equal(t, "pusher", image["registries"].ArrayValue()[0].ObjectValue()["username"].StringValue())
	require.JSONEq(t, `{"auths": {"registry.example.com": {
		"username": "puller", "password": "pull-it-here", "auth": "cHVsbGVyOnB1bGwtaXQtaGVyZQ=="
	}}}`, string(recorder.Object[*corev1.Secret](recording, "exercises-registry").Data[".dockerconfigjson"]))
	require.Equal(t, resource.PropertyMap{
		"namespace":       resource.NewProperty("alice-exercises"),
		"image":           resource.NewProperty("redis:8.2"),
		"fillerImage":     resource.NewProperty(built("redisfiller")),
		"replicas":        resource.NewProperty(2.0),
		"password":        resource.MakeSecret(resource.NewProperty("correct-horse")),
		"passwordVersion": resource.NewProperty("2"),
		"storageClass":    resource.NewProperty("longhorn"),
		"storageSize":     resource.NewProperty("1Gi"),
		"memory":          resource.NewProperty("128Mi"),
	}, recording.Get(t, "stateful-k3s:redis:Redis", "redis").Inputs)
	require.Equal(t, resource.PropertyMap{
		"namespace": resource.NewProperty("alice-exercises"),
		"image":     resource.NewProperty(built("postgres")),
		"archive": resource.NewProperty(resource.PropertyMap{
			"endpoint":   resource.NewProperty("https://storage-svc.alice-storage.svc:9000"),
			"region":     resource.NewProperty("us-east-1"),
			"bucket":     resource.NewProperty("backups"),
			"prefix":     resource.NewProperty(""),
			"timeout":    resource.NewProperty("30s"),
			"keepDays":   resource.NewProperty(14.0),
			"passphrase": resource.MakeSecret(resource.NewProperty("close-it-tight")),
		}),
		"exporterImage":   resource.NewProperty(built("postgres-exporter")),
		"database":        resource.NewProperty("pingpong"),
		"password":        resource.MakeSecret(resource.NewProperty("battery-staple")),
		"readerPassword":  resource.MakeSecret(resource.NewProperty("read-it-all")),
		"passwordVersion": resource.NewProperty("3"),
		"tlsVersion":      resource.NewProperty("4"),
		"storageClass":    resource.NewProperty("longhorn"),
		"storageSize":     resource.NewProperty("5Gi"),
		"memory":          resource.NewProperty("1Gi"),
		"parameters":      resource.NewProperty(resource.PropertyMap{"jit": resource.NewProperty("off")}),
	}, recording.Get(t, "stateful-k3s:postgres:Postgres", "pingpong-postgres").Inputs)
	require.Equal(t, resource.PropertyMap{
		"namespace": resource.NewProperty("alice-exercises"),
		"image":     resource.NewProperty(built("pingpong")),
		"replicas":  resource.NewProperty(3.0),
		"database":  resource.NewProperty("postgres-svc.alice-exercises.svc:5432"),
	}, recording.Get(t, "stateful-k3s:pingpong:Pingpong", "pingpong").Inputs)
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{
		"namespace":        "alice-project",
		"backendImage":     built("todo-backend"),
		"frontendImage":    built("todo-frontend"),
		"dailyImage":       built("daily-todo"),
		"backendReplicas":  4.0,
		"frontendReplicas": 5.0,
		"database":         "postgres-svc.alice-project.svc:5432",
		"allowedOrigins":   "https://shop.example.com",
		"ownOrigins":       "https://todo.example.com",
		"schedule":         "30 7 * * *",
		"timeZone":         "Europe/Helsinki",
		"articleURL":       "https://wiki.example.com:8443/random",
		"authorities":      "",
	}), recording.Get(t, "stateful-k3s:todo:Todo", "todo").Inputs)
	require.Equal(t, []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.1.2.0/24",
		Except: []string{}}}},
		recorder.Object[*networkingv1.NetworkPolicy](recording, "todo-daily-article-egress").Spec.Egress[0].To)
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{
		"namespace":    "alice-storage",
		"image":        built("storage"),
		"accounts":     []any{"alice-exercises", "alice-project"},
		"keysVersion":  "5",
		"tlsVersion":   "6",
		"storageClass": "longhorn",
		"storageSize":  "50Gi",
		"memory":       "256Mi",
	}), recording.Get(t, "stateful-k3s:storage:Storage", "storage").Inputs)
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{
		"namespace":   "alice-project",
		"image":       built("backup"),
		"database":    "postgres-svc.alice-project.svc:5432",
		"endpoint":    "https://storage-svc.alice-storage.svc:9000",
		"region":      "us-east-1",
		"bucket":      "backups",
		"prefix":      "",
		"schedule":    "30 4 * * 0",
		"timeZone":    "Europe/Helsinki",
		"keepDaily":   1.0,
		"keepWeekly":  2.0,
		"keepMonthly": 3.0,
		"scratchSize": "40Gi",
		"memory":      "768Mi",
		"compression": 19.0,
		"recipient":   ageKey,
		"timeout":     "1h30m0s",
	}), recording.Get(t, "stateful-k3s:backup:Backup", "todo-backup").Inputs)
	for name, path := range map[string]string{"pingpong": "pingpong", "todo": ""} {
		require.Equal(t, "https://stateful.example.com/"+path,
			recording.Outputs("")[resource.PropertyKey(name+"Url")].StringValue())
	}
	for _, name := range []string{"pingpong-ingress", "todo-frontend-ingress"} {
		ingress := recorder.Object[*networkingv1.Ingress](recording, name)
		require.Equal(t, "nginx", *ingress.Spec.IngressClassName)
		require.Equal(t, "stateful-tls", ingress.Spec.TLS[0].SecretName)
	}
	// The same settings serve both databases.
	todos := recording.Get(t, "stateful-k3s:postgres:Postgres", "todo-postgres").Inputs
	pings := recording.Get(t, "stateful-k3s:postgres:Postgres", "pingpong-postgres").Inputs.Copy()
	pings["namespace"], pings["database"] = resource.NewProperty("alice-project"), resource.NewProperty("todo")
	require.Equal(t, pings, todos)
	for _, password := range []string{"push-it-there", "pull-it-here", "correct-horse", "battery-staple",
		"read-it-all", "close-it-tight"} {
		recording.RequireSecret(t, password)
	}
}

// ageKey is a public key of age, whose private key nobody has kept.
const ageKey = "age1r83uz8exdaypupep8gm530pvksak4eejvwsu8e9nek87jmxwty0qsngh3m"

func TestProgramWithBackupsElsewhere(t *testing.T) {
	recording := recorder.Run(t, withoutCluster, settings(t, map[string]string{
		"s3Endpoint": "https://s3.example.com", "s3Region": "eu-north-1", "s3Bucket": "attic", "s3Prefix": "house",
		"s3AccessKey": "the-access-key", "s3SecretKey": "the-secret-key", "s3PathStyle": "false",
		"s3Networks": "10.1.3.0/24",
	}))
	require.Equal(t, slices.DeleteFunc(slices.Clone(everything),
		func(name string) bool { return strings.HasPrefix(name, "storage") }),
		declared(recording))
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{
		"pingpong": "https://s3.example.com/attic/house/exercises",
		"todo":     "https://s3.example.com/attic/house/project",
	}), recording.Outputs("")["backups"].ObjectValue())
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{"exercises": "exercises",
		"project": "project"}),
		recording.Outputs("")["namespaces"].ObjectValue())
	require.Equal(t, []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.1.3.0/24",
		Except: []string{}}}},
		recorder.Object[*networkingv1.NetworkPolicy](recording, "todo-backup-bucket-egress").Spec.Egress[0].To)
	for _, namespace := range []string{"pingpong", "todo"} {
		require.Equal(t, map[string][]byte{"access-key": []byte("the-access-key"),
			"secret-key": []byte("the-secret-key")},
			recorder.Object[*corev1.Secret](recording, namespace+"-backup-secret").Data)
	}
	recording.RequireSecret(t, "the-access-key")
	recording.RequireSecret(t, "the-secret-key")
}

func TestProgramWithoutIngress(t *testing.T) {
	recording := recorder.Run(t, withoutCluster, settings(t, map[string]string{"ingressClass": "none"}))
	for _, recorded := range recording.All() {
		require.NotEqual(t, "kubernetes:networking.k8s.io/v1:Ingress", string(recorded.URN.Type()))
	}
	require.NotContains(t, recording.Outputs(""), resource.PropertyKey("todoUrl"))
	require.Equal(t, []string{"Without an ingress nobody reaches the apps from outside. To see the page: " +
		"kubectl -n project port-forward service/todo-frontend-svc 8080:80"}, recording.Logs())
}

func TestProgramSaysWhatAChangedSettingDidWithTheData(t *testing.T) {
	last := recorder.Last(recorder.Run(t, withoutCluster, settings(t, nil)).Outputs(""))
	require.Empty(t, recorder.Run(t, withoutCluster, settings(t, nil), last).Logs())
	said := recorder.Run(t, withoutCluster, settings(t, map[string]string{
		"namePrefix": "alice-", "ingressHost": "alice.example.com", "storageClass": "longhorn",
		"redisStorageSize": "1Gi", "postgresStorageSize": "2Gi", "storageSize": "50Gi",
	}), last).Logs()
	require.Len(t, said, 5)
	for i, beginning := range []string{
		"Namespaces that are not used any more: exercises, project and storage. ",
		"storageClass: new claims are of longhorn. ",
		"postgresStorageSize: new claims are of 2Gi. ", "redisStorageSize: new claims are of 1Gi. ",
		"storageSize: new claims are of 50Gi. ",
	} {
		require.True(t, strings.HasPrefix(said[i], beginning), said[i])
	}
}

func TestProgramBuildsWhatTheRegistryHasLost(t *testing.T) {
	last := recorder.Last(recorder.Run(t, withoutCluster, settings(t, nil)).Outputs(""))
	builds := func(app string, options ...recorder.Option) bool {
		recording := recorder.Run(t, whoseRegistryHasLost("backup", "pingpong"),
			append(options, settings(t, nil))...)
		require.Equal(t, len(options) > 0,
			slices.Contains(recording.Logs(),
				"The registry has lost images, which are built again, since no new pod could start without: backup, pingpong."))
		return len(recording.Get(t, "docker-build:index:Image", app).Request.GetIgnoreChanges()) == 0
	}
	require.True(t, builds("backup", last))
	require.True(t, builds("pingpong", last))
	require.False(t, builds("storage", last))
	require.False(t, builds("backup"), "which was never there")
}

func TestProgramOfARenamedStack(t *testing.T) {
	last := recorder.Run(t, withoutCluster, settings(t, nil)).Outputs("")
	last["volumes"].ObjectValue()["owner"] = resource.NewProperty("organization.old")
	recording := recorder.Run(t, withoutCluster, settings(t, nil), recorder.Last(last))
	require.Equal(t, []string{"The stack was organization.old, and is organization.dev now. It takes its namespaces along, with all data."}, recording.Logs())
}

// What somebody changed by hand is taken back: else the API server would refuse every update of it.
func TestEveryObjectIsAppliedByForce(t *testing.T) {
	objects := 0
	for _, recorded := range recorder.Run(t, withoutCluster,
		settings(t, map[string]string{"restoreFrom": "latest"})).All() {
		if object, is := recorded.Object.(metav1.Object); is {
			objects++
			require.Equal(t, "true", object.GetAnnotations()["pulumi.com/patchForce"], recorded.URN)
		}
	}
	require.NotZero(t, objects)
}

// A setting that says where the data is replaces nothing that holds it: the claims are the StatefulSets',
// which leave them behind.
func TestNothingThatHoldsDataIsTheStacksToDelete(t *testing.T) {
	recording := recorder.Run(t, withoutCluster, settings(t, nil))
	sets := 0
	for _, recorded := range recording.All() {
		require.NotContains(t, string(recorded.URN.Type()), "PersistentVolume", recorded.URN)
		if set, is := recorded.Object.(*appsv1.StatefulSet); is {
			sets++
			require.Equal(t, &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: "Retain",
				WhenScaled: "Retain"},
				set.Spec.PersistentVolumeClaimRetentionPolicy, recorded.URN)
			require.Contains(t, recorded.DependsOn(), set.Namespace, "the namespace, which is kept")
		}
	}
	require.Equal(t, 4, sets)
}

func TestProgramErrors(t *testing.T) {
	recorder.RequireErrors(t, withoutCluster, map[string]string{
		"redisfiller":       "declaring image redisfiller: ",
		"k3s":               "declaring provider k3s: ",
		"exercises":         "declaring namespace exercises: ",
		"redis":             "declaring redis redis: ",
		"storage-service":   "storage storage: declaring service storage-svc: ",
		"todo-backup":       "declaring backup todo-backup: ",
		"pingpong-postgres": "declaring postgres pingpong-postgres: ",
		"pingpong-service":  "pingpong pingpong: declaring service pingpong-svc: ",
		"todo-postgres":     "declaring postgres todo-postgres: ",
		"todo-config":       "todo todo: declaring config map todo-config: ",
	}, settings(t, nil))
	_, err := recorder.Try(t, withoutCluster, settings(t, map[string]string{"redisMemory": "lots"}))
	require.ErrorContains(t, err, "stateful-k3s:redisMemory: ")
	require.Equal(t, 1, strings.Count(err.Error(), "stateful-k3s:"))
}

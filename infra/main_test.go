package main

import (
	"maps"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

const (
	pingpongImage = "registry.example.com/team/pingpong:dev@" + recorder.Digest
	exporterImage = "registry.example.com/team/postgres-exporter:dev@" + recorder.Digest
	fillerImage   = "registry.example.com/team/redisfiller:dev@" + recorder.Digest
)

// settings are the defaults with changes, and with a registry.
func settings(t *testing.T, changes map[string]string) recorder.Option {
	all := recorder.Defaults(t)
	all["registry"] = "registry.example.com/team"
	maps.Copy(all, changes)
	return recorder.Config(all, "registryPassword", "pullPassword", "redisPassword", "postgresPassword", "postgresReaderPassword")
}

var everything = []string{
	"exercises kubernetes:core/v1:Namespace",
	"exercises-default-deny kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"exercises-dns kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"k3s pulumi:providers:kubernetes",
	"pingpong docker-build:index:Image",
	"pingpong stateful-k3s:pingpong:Pingpong",
	"pingpong-postgres stateful-k3s:postgres:Postgres",
	"pingpong-postgres/pingpong-postgres-certificate pulumi:index:Stash",
	"pingpong-postgres/pingpong-postgres-config kubernetes:core/v1:ConfigMap",
	"pingpong-postgres/pingpong-postgres-exporter pulumi:index:Stash",
	"pingpong-postgres/pingpong-postgres-owner pulumi:index:Stash",
	"pingpong-postgres/pingpong-postgres-reader pulumi:index:Stash",
	"pingpong-postgres/pingpong-postgres-salt pulumi:index:Stash",
	"pingpong-postgres/pingpong-postgres-secret kubernetes:core/v1:Secret",
	"pingpong-postgres/pingpong-postgres-service kubernetes:core/v1:Service",
	"pingpong-postgres/pingpong-postgres-statefulset kubernetes:apps/v1:StatefulSet",
	"pingpong/pingpong-budget kubernetes:policy/v1:PodDisruptionBudget",
	"pingpong/pingpong-client-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"pingpong/pingpong-client-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"pingpong/pingpong-database-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"pingpong/pingpong-database-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"pingpong/pingpong-deployment kubernetes:apps/v1:Deployment",
	"pingpong/pingpong-service kubernetes:core/v1:Service",
	"postgres-exporter docker-build:index:Image",
	"redis stateful-k3s:redis:Redis",
	"redis/redis-client-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"redis/redis-client-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"redis/redis-config kubernetes:core/v1:ConfigMap",
	"redis/redis-password pulumi:index:Stash",
	"redis/redis-secret kubernetes:core/v1:Secret",
	"redis/redis-service kubernetes:core/v1:Service",
	"redis/redis-statefulset kubernetes:apps/v1:StatefulSet",
	"redisfiller docker-build:index:Image",
}

func TestProgram(t *testing.T) {
	recording := recorder.Run(t, program, settings(t, nil))

	require.Equal(t, everything, recording.Names())
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{
		"namespaces": map[string]any{"exercises": "exercises"},
		"images":     map[string]any{"pingpong": pingpongImage, "postgres-exporter": exporterImage, "redisfiller": fillerImage},
		"pingpong":   "pingpong-svc.exercises.svc:80",
		"postgres":   "postgres-svc.exercises.svc:5432",
		"redis":      []any{"redis-stset-0.redis-svc.exercises.svc:6379", "redis-stset-1.redis-svc.exercises.svc:6379"},
	}), recording.Outputs(""))
	statefulSet := recorder.Object[*appsv1.StatefulSet](recording, "redis-statefulset")
	require.Equal(t, fillerImage, statefulSet.Spec.Template.Spec.Containers[0].Image)
	require.Contains(t, recording.Get(t, "kubernetes:apps/v1:StatefulSet", "redis-statefulset").DependsOn(), "redisfiller")
	require.Contains(t, recording.Get(t, "kubernetes:apps/v1:StatefulSet", "pingpong-postgres-statefulset").DependsOn(), "postgres-exporter")
	require.Contains(t, recording.Get(t, "kubernetes:apps/v1:Deployment", "pingpong-deployment").DependsOn(), "pingpong")
}

func TestProgramInPreview(t *testing.T) {
	recording := recorder.Run(t, program, settings(t, nil), recorder.Preview())
	require.Equal(t, everything, recording.Names())
}

func TestEveryObjectGoesThroughTheOneProvider(t *testing.T) {
	recording := recorder.Run(t, program, settings(t, nil))
	for _, recorded := range recording.All() {
		if recorded.Object != nil {
			require.Equal(t, "k3s", recorded.Provider(), recorded.URN)
		}
	}
}

// What holds data or serves other stacks outlives the stack; all else goes with it.
func TestWhatDestroyKeeps(t *testing.T) {
	recording := recorder.Run(t, program, settings(t, nil))
	kept := []string{}
	for _, recorded := range recording.All() {
		if recorded.Request.GetRetainOnDelete() {
			kept = append(kept, recorded.URN.Name())
		}
		require.False(t, recorded.Request.GetProtect(), recorded.URN)
	}
	require.ElementsMatch(t, []string{"exercises", "pingpong", "postgres-exporter", "redisfiller"}, kept)
}

func TestEverySettingArrives(t *testing.T) {
	recording := recorder.Run(t, program, settings(t, map[string]string{
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
	}))

	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{"exercises": "alice-exercises"}),
		recording.Outputs("")["namespaces"].ObjectValue())
	image := recording.Get(t, "docker-build:index:Image", "redisfiller").Inputs
	require.Equal(t, "mybuilder", image["builder"].ObjectValue()["name"].StringValue())
	require.Equal(t, "pusher", image["registries"].ArrayValue()[0].ObjectValue()["username"].StringValue())
	require.JSONEq(t, `{"auths": {"registry.example.com": {
		"username": "puller", "password": "pull-it-here", "auth": "cHVsbGVyOnB1bGwtaXQtaGVyZQ=="
	}}}`, string(recorder.Object[*corev1.Secret](recording, "exercises-registry").Data[".dockerconfigjson"]))
	require.Equal(t, resource.PropertyMap{
		"namespace":       resource.NewProperty("alice-exercises"),
		"image":           resource.NewProperty("redis:8.2"),
		"fillerImage":     resource.NewProperty(fillerImage),
		"replicas":        resource.NewProperty(2.0),
		"password":        resource.MakeSecret(resource.NewProperty("correct-horse")),
		"passwordVersion": resource.NewProperty("2"),
		"storageClass":    resource.NewProperty("longhorn"),
		"storageSize":     resource.NewProperty("1Gi"),
		"memory":          resource.NewProperty("128Mi"),
	}, recording.Get(t, "stateful-k3s:redis:Redis", "redis").Inputs)
	require.Equal(t, resource.PropertyMap{
		"namespace":       resource.NewProperty("alice-exercises"),
		"image":           resource.NewProperty("postgres:18"),
		"exporterImage":   resource.NewProperty(exporterImage),
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
		"image":     resource.NewProperty(pingpongImage),
		"replicas":  resource.NewProperty(3.0),
		"database":  resource.NewProperty("postgres-svc.alice-exercises.svc:5432"),
	}, recording.Get(t, "stateful-k3s:pingpong:Pingpong", "pingpong").Inputs)
	for _, password := range []string{"push-it-there", "pull-it-here", "correct-horse", "battery-staple", "read-it-all"} {
		recording.RequireSecret(t, password)
	}
}

func TestProgramErrors(t *testing.T) {
	recorder.RequireErrors(t, program, map[string]string{
		"redisfiller":       "declaring image redisfiller: ",
		"k3s":               "declaring provider k3s: ",
		"exercises":         "declaring namespace exercises: ",
		"redis":             "declaring redis redis: ",
		"pingpong-postgres": "declaring postgres pingpong-postgres: ",
		"pingpong-service":  "pingpong pingpong: declaring service pingpong-svc: ",
	}, settings(t, nil))
	_, err := recorder.Try(t, program, settings(t, map[string]string{"redisMemory": "lots"}))
	require.ErrorContains(t, err, "stateful-k3s:redisMemory: ")
	require.Equal(t, 1, strings.Count(err.Error(), "stateful-k3s:"))
}

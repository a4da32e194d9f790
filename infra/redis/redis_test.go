package redis_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/redis"
)

// program declares a namespace with Redis, after the changes to its arguments.
func program(changes ...func(*redis.Args)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		namespace, err := kube.NewNamespace(ctx, "exercises", kube.NamespaceArgs{Name: "alice-exercises"})
		if err != nil {
			return err
		}
		args := redis.Args{
			Namespace:    namespace,
			Image:        pulumi.String("redis:8"),
			FillerImage:  pulumi.String("redisfiller"),
			StorageClass: "local-path",
			StorageSize:  "100Mi",
			Memory:       "64Mi",

			ExporterImage: pulumi.String("redis-exporter"),
		}
		for _, change := range changes {
			change(&args)
		}
		_, err = redis.New(ctx, "cache", args)
		return err
	}
}

func password(text string) func(*redis.Args) {
	return func(args *redis.Args) { args.Password = pulumi.String(text) }
}

func TestPasswordIsNowhereInPlainText(t *testing.T) {
	recording := recorder.Run(t, program(password("given-password")))
	recording.RequireSecret(t, "given-password")
	recording.RequireSecret(t, `\x67\x69\x76\x65\x6e\x2d\x70\x61\x73\x73\x77\x6f\x72\x64`)

	recording = recorder.Run(t, program())
	stash := recording.Get(t, "pulumi:index:Stash", "cache-password")
	recording.RequireSecret(t, stash.Inputs["input"].SecretValue().Element.StringValue())
}

func TestPasswordMayHoldAnyCharacter(t *testing.T) {
	secret := recorder.Object[*corev1.Secret](recorder.Run(t, program(password(`a"b\ é`))), "cache-secret")
	require.Equal(t, map[string][]byte{
		"password":  []byte(`a"b\ é`),
		"auth.conf": []byte(`requirepass "\x61\x22\x62\x5c\x20\xc3\xa9"` + "\n"),
	}, secret.Data)
}

func TestPodsRestartOnChanges(t *testing.T) {
	annotations := func(changes ...func(*redis.Args)) map[string]string {
		recording := recorder.Run(t, program(append([]func(*redis.Args){password("first")}, changes...)...))
		return recorder.Object[*appsv1.StatefulSet](recording, "cache-statefulset").Spec.Template.Annotations
	}
	before := annotations()
	require.Equal(t, before, annotations())
	for annotation, change := range map[string]func(*redis.Args){
		"stateful-k3s/redis-password": password("second"),
		"stateful-k3s/redis-config":   func(args *redis.Args) { args.Memory = "128Mi" },
	} {
		require.NotEqual(t, before[annotation], annotations(change)[annotation], annotation)
	}
}

func TestDeclarationErrors(t *testing.T) {
	recorder.RequireErrors(t, program(), map[string]string{
		"cache":                "declaring redis cache: ",
		"cache-password":       "redis cache: declaring password cache-password: ",
		"cache-secret":         "redis cache: declaring secret redis: ",
		"cache-config":         "redis cache: declaring config map redis-config: ",
		"cache-client-egress":  "redis cache: declaring network policy cache-client-egress: ",
		"cache-client-ingress": "redis cache: declaring network policy cache-client-ingress: ",
		"cache-service":        "redis cache: declaring service redis-svc: ",
		"cache-statefulset":    "redis cache: declaring stateful set redis-stset: ",
	})
}

func TestArgumentErrors(t *testing.T) {
	_, err := recorder.Try(t, program(func(args *redis.Args) { *args = redis.Args{} }))
	require.ErrorContains(t, err, `redis cache: ExporterImage is required
FillerImage is required
Image is required
Memory is required
Namespace is required
StorageClass is required
StorageSize is required`)

	_, err = recorder.Try(t, program(func(args *redis.Args) { args.Memory = "64 MB" }))
	require.ErrorContains(t, err, `redis cache: reading Memory "64 MB": `)
}

package statefulset_test

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const stashType = "pulumi:index:Stash"

// program declares a namespace with a Postgres in it. change may change the arguments.
func program(change func(*statefulset.Args)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		_, err := declare(ctx, change)
		return err
	}
}

func declare(ctx *pulumi.Context, change func(*statefulset.Args)) (*statefulset.Server, error) {
	namespace, err := kube.NewNamespace(ctx, "exercises", kube.NamespaceArgs{Name: "alice-exercises"})
	if err != nil {
		return nil, err
	}
	args := statefulset.Args{
		Namespace:     namespace,
		Image:         pulumi.String("postgres:17"),
		ExporterImage: pulumi.String("exporter"),
		Database:      "pingpong",
		Settings:      statefulset.Settings{StorageClass: "local-path"},
	}
	if change != nil {
		change(&args)
	}
	return statefulset.New(ctx, "pings", args)
}

// kept makes the state hold the same text in every stash: a certificate, which does for passwords too.
func kept(text string) recorder.Option {
	return recorder.Outputs(stashType, resource.PropertyMap{"output": resource.NewProperty(text)})
}

const certificate = `{"Authority": "the authority", "Server": "the certificate", "Key": "the key"}`

func podTemplate(t *testing.T, change func(*statefulset.Args),
	options ...recorder.Option) corev1.PodTemplateSpec {
	t.Helper()
	recording := recorder.Run(t, program(change), options...)
	return recorder.Object[*appsv1.StatefulSet](recording, "pings-statefulset").Spec.Template
}

// A policy that selected a user's pods in a namespace of the user's would cut them off from everything else.
func TestClients(t *testing.T) {
	theirs := &kube.Namespace{Name: "web"}
	recording := recorder.Run(t, program(func(args *statefulset.Args) {
		args.Clients = []kube.Pods{
			{Namespace: args.Namespace, Labels: map[string]string{"app": "shop"}},
			{Namespace: theirs, Labels: map[string]string{"app": "web"}},
		}
	}))
	var policies []string
	for _, recorded := range recording.All() {
		if name := recorded.URN.Name(); strings.Contains(name, "-client") && !strings.HasSuffix(name, "-client") {
			policies = append(policies, name)
		}
	}
	require.Equal(t, []string{"pings-client-2-ingress", "pings-client-egress", "pings-client-ingress"}, policies)
	second := recorder.Object[*networkingv1.NetworkPolicy](recording, "pings-client-2-ingress")
	from := second.Spec.Ingress[0].From
	require.Equal(t, "web", from[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])
	require.Equal(t, "web", from[0].PodSelector.MatchLabels["app"])
}

func TestPodRestartsOnChanges(t *testing.T) {
	annotations := func(change func(*statefulset.Args)) map[string]string {
		return podTemplate(t, change, kept(certificate)).Annotations
	}
	before := annotations(nil)
	require.Equal(t, before, annotations(nil))
	require.Len(t, before, 2)
	for name, change := range map[string]struct {
		annotation string
		change     func(*statefulset.Args)
	}{
		"password": {"secret", func(args *statefulset.Args) { args.Password = pulumi.String("another") }},
		"reader password": {"secret", func(args *statefulset.Args) {
			args.ReaderPassword = pulumi.String("another")
		}},
		"memory": {"config", func(args *statefulset.Args) { args.Memory = "1Gi" }},
		"parameters": {"config", func(args *statefulset.Args) {
			args.Parameters = statefulset.Parameters{"jit": "off"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			after := annotations(change.change)
			for _, annotation := range []string{"secret", "config"} {
				key := "stateful-k3s/postgres-" + annotation
				require.Equal(t, annotation == change.annotation, before[key] != after[key], annotation)
			}
		})
	}

	renewed := podTemplate(t, nil, kept(`{"Authority": "a", "Server": "b", "Key": "c"}`)).Annotations
	require.NotEqual(t, before["stateful-k3s/postgres-secret"], renewed["stateful-k3s/postgres-secret"])
}

func TestDeclarationErrors(t *testing.T) {
	recorder.RequireErrors(t, program(nil), map[string]string{
		"pings":             "declaring postgres pings: ",
		"pings-owner":       "postgres pings: declaring password pings-owner: ",
		"pings-reader":      "postgres pings: declaring password pings-reader: ",
		"pings-restorer":    "postgres pings: declaring password pings-restorer: ",
		"pings-exporter":    "postgres pings: declaring password pings-exporter: ",
		"pings-salt":        "postgres pings: declaring password pings-salt: ",
		"pings-certificate": "postgres pings: declaring certificate pings-certificate: ",
		"pings-secret":      "postgres pings: declaring secret postgres: ",
		"pings-client":      "postgres pings: declaring secret postgres-client: ",
		"pings-config":      "postgres pings: declaring config map postgres-config: ",
		"pings-service":     "postgres pings: declaring service postgres-svc: ",
		"pings-statefulset": "postgres pings: declaring stateful set postgres-ss: ",
	})
}

func TestArgumentErrors(t *testing.T) {
	_, err := recorder.Try(t, program(func(args *statefulset.Args) { *args = statefulset.Args{} }))
	require.ErrorContains(t, err, `postgres pings: Database is required
ExporterImage is required
Image is required
Namespace is required
StorageClass is required`)

	setDatabase := func(name string) func(*statefulset.Args) {
		return func(args *statefulset.Args) { args.Database = name }
	}
	for message, change := range map[string]func(*statefulset.Args){
		`reading Memory "64 MB": `:     func(args *statefulset.Args) { args.Memory = "64 MB" },
		`reading StorageSize "much": `: func(args *statefulset.Args) { args.StorageSize = "much" },
		`parameters: port is not yours to set`: func(args *statefulset.Args) {
			args.Parameters = statefulset.Parameters{"port": "1"}
		},
		`database "Ping" is not 1 to 63 small letters, digits`: setDatabase("Ping"),
		`database "reader" is a name that has a meaning`:       setDatabase("reader"),
		`database "restorer" is a name that has a meaning`:     setDatabase("restorer"),
		`database "pg_ping" is a name that has a meaning`:      setDatabase("pg_ping"),
		`something else than printable ASCII characters`: func(args *statefulset.Args) {
			args.Password = pulumi.String("pässword")
		},
	} {
		_, err := recorder.Try(t, program(change))
		require.ErrorContains(t, err, message)
	}
}

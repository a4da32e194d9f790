package postgres_test

import (
	"maps"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/postgres"
)

const (
	componentType = "stateful-k3s:postgres:Postgres"
	stashType     = "pulumi:index:Stash"

	exporterImage = "registry.example.com/postgres-exporter:dev@" + recorder.Digest
)

// program declares a namespace with a Postgres in it, whose arguments can be changed before.
func program(change func(*postgres.Args)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		_, err := declare(ctx, change)
		return err
	}
}

func declare(ctx *pulumi.Context, change func(*postgres.Args)) (*postgres.Postgres, error) {
	namespace, err := kube.NewNamespace(ctx, "exercises", kube.NamespaceArgs{Name: "alice-exercises"})
	if err != nil {
		return nil, err
	}
	args := postgres.Args{
		Namespace:       namespace,
		Image:           pulumi.String("postgres:17"),
		ExporterImage:   pulumi.String(exporterImage),
		Database:        "pingpong",
		PasswordVersion: "1",
		TLSVersion:      "1",
		StorageClass:    "local-path",
		StorageSize:     "1Gi",
		Memory:          "512Mi",
	}
	if change != nil {
		change(&args)
	}
	return postgres.New(ctx, "pings", args)
}

// kept has the state hold the same for every stash. It is a certificate, and will do for a password.
func kept(text string) recorder.Option {
	return recorder.Outputs(stashType, resource.PropertyMap{"output": resource.NewProperty(text)})
}

const certificate = `{"Authority": "the authority", "Server": "the certificate", "Key": "the key"}`

func statefulSet(t *testing.T, change func(*postgres.Args),
	options ...recorder.Option) appsv1.StatefulSetSpec {
	t.Helper()
	return recorder.Object[*appsv1.StatefulSet](recorder.Run(t, program(change), options...),
		"pings-statefulset").Spec
}

func TestPostgresHasTheseParts(t *testing.T) {
	for name, options := range map[string][]recorder.Option{"update": nil, "preview": {recorder.Preview()}} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, []string{
				"exercises kubernetes:core/v1:Namespace",
				"exercises-default-deny kubernetes:networking.k8s.io/v1:NetworkPolicy",
				"exercises-dns kubernetes:networking.k8s.io/v1:NetworkPolicy",
				"pings stateful-k3s:postgres:Postgres",
				"pings/pings-certificate pulumi:index:Stash",
				"pings/pings-client-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
				"pings/pings-client-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
				"pings/pings-config kubernetes:core/v1:ConfigMap",
				"pings/pings-exporter pulumi:index:Stash",
				"pings/pings-owner pulumi:index:Stash",
				"pings/pings-reader pulumi:index:Stash",
				"pings/pings-restorer pulumi:index:Stash",
				"pings/pings-salt pulumi:index:Stash",
				"pings/pings-secret kubernetes:core/v1:Secret",
				"pings/pings-service kubernetes:core/v1:Service",
				"pings/pings-statefulset kubernetes:apps/v1:StatefulSet",
				"pings/pings-statefulset-budget kubernetes:policy/v1:PodDisruptionBudget",
			}, recorder.Run(t, program(nil), options...).Names())
		})
	}
}

func TestPostgresPartsFollowTheHouseRules(t *testing.T) {
	recording := recorder.Run(t, program(nil))
	namespace := []string{"exercises", "exercises-default-deny", "exercises-dns"}
	stashes := []string{"pings-certificate", "pings-exporter", "pings-owner", "pings-reader", "pings-restorer",
		"pings-salt"}
	for name, part := range map[string]struct {
		object    metav1.Object
		inCluster string
		dependsOn [][]string
	}{
		"pings-config": {
			recorder.Object[*corev1.ConfigMap](recording, "pings-config"), "postgres-config", [][]string{namespace},
		},
		"pings-secret": {
			recorder.Object[*corev1.Secret](recording, "pings-secret"), "postgres", [][]string{namespace, stashes},
		},
		"pings-service": {
			recorder.Object[*corev1.Service](recording, "pings-service"), "postgres-svc", [][]string{namespace},
		},
		"pings-statefulset": {
			recorder.Object[*appsv1.StatefulSet](recording, "pings-statefulset"), "postgres-ss",
			[][]string{namespace, stashes, {"pings-config", "pings-secret", "pings-service"}},
		},
	} {
		require.Equal(t, "alice-exercises", part.object.GetNamespace(), name)
		require.Equal(t, part.inCluster, part.object.GetName(), name)
		require.Equal(t, map[string]string{
			"app.kubernetes.io/name":       "postgres",
			"app.kubernetes.io/part-of":    "stateful-k3s",
			"app.kubernetes.io/managed-by": "pulumi",
		}, part.object.GetLabels(), name)
		require.Equal(t, map[string]string{"pulumi.com/patchFieldManager": "stateful-k3s",
			"pulumi.com/patchForce": "true"}, part.object.GetAnnotations(), name)
		var dependsOn []string
		for _, names := range part.dependsOn {
			dependsOn = append(dependsOn, names...)
		}
		for _, recorded := range recording.All() {
			if recorded.URN.Name() == name {
				require.ElementsMatch(t, dependsOn, recorded.DependsOn(), name)
				require.False(t, recorded.Request.GetRetainOnDelete(), name)
			}
		}
	}
}

func TestOnlyClientsConnect(t *testing.T) {
	kubetest.RequireConnection(t, recorder.Run(t, program(nil)), "pings-client", "alice-exercises",
		kubetest.Label("postgres-client", "true"), kubetest.Label("app", "postgres"), 5432)
}

func TestService(t *testing.T) {
	service := recorder.Object[*corev1.Service](recorder.Run(t, program(nil)), "pings-service")
	require.Equal(t, corev1.ServiceSpec{
		ClusterIP:                corev1.ClusterIPNone,
		Selector:                 map[string]string{"app": "postgres"},
		Ports:                    []corev1.ServicePort{{Name: "postgres", Port: 5432}},
		PublishNotReadyAddresses: true,
	}, service.Spec)
}

func TestStatefulSet(t *testing.T) {
	spec := statefulSet(t, nil)
	require.Equal(t, "postgres-svc", spec.ServiceName)
	require.Equal(t, ptr.To[int32](1), spec.Replicas)
	require.Equal(t, appsv1.ParallelPodManagement, spec.PodManagementPolicy)
	require.Equal(t, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "postgres"}}, spec.Selector)
	require.Equal(t, "postgres", spec.Template.Labels["app"])
	require.Equal(t, &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
		WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
		WhenScaled:  appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
	}, spec.PersistentVolumeClaimRetentionPolicy)

	require.Len(t, spec.VolumeClaimTemplates, 1)
	require.Equal(t, "data", spec.VolumeClaimTemplates[0].Name)
	require.Equal(t, ptr.To("local-path"), spec.VolumeClaimTemplates[0].Spec.StorageClassName)
	require.Equal(t, quantity.MustParse("1Gi"), spec.VolumeClaimTemplates[0].Spec.Resources.Requests["storage"])
}

func TestPodRestartsOnChanges(t *testing.T) {
	annotations := func(change func(*postgres.Args)) map[string]string {
		return statefulSet(t, change, kept(certificate)).Template.Annotations
	}
	before := annotations(nil)
	require.Equal(t, before, annotations(nil))
	require.ElementsMatch(t, []string{"stateful-k3s/postgres-config", "stateful-k3s/postgres-secret"},
		keys(before))
	for name, change := range map[string]struct {
		annotation string
		change     func(*postgres.Args)
	}{
		"password": {"secret",
			func(args *postgres.Args) { args.Password = pulumi.String("another-password") }},
		"reader password": {"secret",
			func(args *postgres.Args) { args.ReaderPassword = pulumi.String("another-password") }},
		"memory": {"config", func(args *postgres.Args) { args.Memory = "1Gi" }},
		"parameters": {"config",
			func(args *postgres.Args) { args.Parameters = postgres.Parameters{"jit": "off"} }},
	} {
		after := annotations(change.change)
		for key := range before {
			require.Equal(t, key == "stateful-k3s/postgres-"+change.annotation, before[key] != after[key], "%s, %s",
				name, key)
		}
	}

	renewed := statefulSet(t, nil, kept(`{"Authority": "a", "Server": "b", "Key": "c"}`)).Template.Annotations
	require.NotEqual(t, before["stateful-k3s/postgres-secret"], renewed["stateful-k3s/postgres-secret"])
}

func keys(of map[string]string) (all []string) {
	for key := range maps.Keys(of) {
		all = append(all, key)
	}
	return all
}

// Only what follows from secrets and the built image is unknown in a preview: no fixed name is taken from an
// output.
func TestPreview(t *testing.T) {
	recording := recorder.Run(t, program(func(args *postgres.Args) {
		args.ExporterImage = pulumi.UnsafeUnknownOutput(nil).ApplyT(func(any) string { return "" }).(pulumi.StringOutput)
	}), recorder.Preview())

	require.Equal(t, resource.MakeSecret(resource.MakeComputed(resource.NewProperty(""))),
		recording.Get(t, "kubernetes:core/v1:Secret", "pings-secret").Inputs["data"])
	expected := statefulSet(t, nil)
	expected.Template.Annotations["stateful-k3s/postgres-secret"] = recorder.Unknown
	expected.Template.Spec.Containers[1].Image = recorder.Unknown
	require.Equal(t, expected, recorder.Object[*appsv1.StatefulSet](recording, "pings-statefulset").Spec)
}

func TestComponent(t *testing.T) {
	recording := recorder.Run(t, program(func(args *postgres.Args) {
		args.Password, args.ReaderPassword = pulumi.String("given-password"), pulumi.String("given-too")
		args.Parameters = postgres.Parameters{"work_mem": "8MB"}
	}))
	require.Equal(t, resource.PropertyMap{
		"namespace":       resource.NewProperty("alice-exercises"),
		"image":           resource.NewProperty("postgres:17"),
		"exporterImage":   resource.NewProperty(exporterImage),
		"database":        resource.NewProperty("pingpong"),
		"password":        resource.MakeSecret(resource.NewProperty("given-password")),
		"readerPassword":  resource.MakeSecret(resource.NewProperty("given-too")),
		"passwordVersion": resource.NewProperty("1"),
		"tlsVersion":      resource.NewProperty("1"),
		"storageClass":    resource.NewProperty("local-path"),
		"storageSize":     resource.NewProperty("1Gi"),
		"memory":          resource.NewProperty("512Mi"),
		"parameters":      resource.NewProperty(resource.PropertyMap{"work_mem": resource.NewProperty("8MB")}),
	}, recording.Get(t, componentType, "pings").Inputs)
	require.Equal(t, resource.NewPropertyMapFromMap(
		map[string]any{"address": "postgres-svc.alice-exercises.svc:5432"}),
		recording.Outputs("pings"))
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
		"pings-config":      "postgres pings: declaring config map postgres-config: ",
		"pings-service":     "postgres pings: declaring service postgres-svc: ",
		"pings-statefulset": "postgres pings: declaring stateful set postgres-ss: ",
	})
}

func TestArgumentErrors(t *testing.T) {
	_, err := recorder.Try(t, program(func(args *postgres.Args) { *args = postgres.Args{} }))
	require.ErrorContains(t, err, `postgres pings: Database is required
ExporterImage is required
Image is required
Memory is required
Namespace is required
PasswordVersion is required
StorageClass is required
StorageSize is required
TLSVersion is required`)

	for message, change := range map[string]func(*postgres.Args){
		`reading Memory "64 MB": `: func(args *postgres.Args) { args.Memory = "64 MB" },
		`reading StorageSize "much": `: func(
			args *postgres.Args) {
			args.StorageSize = "much"
		},
		`parameters: port is not yours to set`: func(
			args *postgres.Args) {
			args.Parameters = postgres.Parameters{"port": "1"}
		},
		`database "Ping" is not 1 to 63 small letters, digits`: func(
			args *postgres.Args) {
			args.Database = "Ping"
		},
		`database "reader" is a name that has a meaning`: func(
			args *postgres.Args) {
			args.Database = "reader"
		},
		`database "restorer" is a name that has a meaning`: func(
			args *postgres.Args) {
			args.Database = "restorer"
		},
		`database "pg_ping" is a name that has a meaning`: func(
			args *postgres.Args) {
			args.Database = "pg_ping"
		},
		`something else than printable ASCII characters`: func(
			args *postgres.Args) {
			args.Password = pulumi.String("pässword")
		},
	} {
		_, err := recorder.Try(t, program(change))
		require.ErrorContains(t, err, message)
	}
}

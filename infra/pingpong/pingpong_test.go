package pingpong_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/pingpong"
)

const (
	componentType = "stateful-k3s:pingpong:Pingpong"
	image         = "registry.example.com/pingpong:dev@" + recorder.Digest
)

// program declares a namespace with a Postgres and pingpong in it, whose arguments can be changed before.
func program(changes ...func(*pingpong.Args)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		namespace, database, err := kubetest.NewDatabase(ctx, "exercises", "pingpong")
		if err != nil {
			return err
		}
		args := pingpong.Args{Namespace: namespace, Image: pulumi.String(image), Database: database}
		for _, change := range changes {
			change(&args)
		}
		_, err = pingpong.New(ctx, "counter", args)
		return err
	}
}

var parts = []string{
	"counter/counter-budget kubernetes:policy/v1:PodDisruptionBudget",
	"counter/counter-client-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"counter/counter-client-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"counter/counter-database-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"counter/counter-database-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"counter/counter-deployment kubernetes:apps/v1:Deployment",
	"counter/counter-service kubernetes:core/v1:Service",
}

func TestPingpongHasTheseParts(t *testing.T) {
	for name, options := range map[string][]recorder.Option{"update": nil, "preview": {recorder.Preview()}} {
		t.Run(name, func(t *testing.T) {
			recording := recorder.Run(t, program(), options...)
			names := []string{}
			for _, recorded := range recording.All() {
				if recorded.Parent() == "counter" {
					names = append(names, "counter/"+recorded.URN.Name()+" "+string(recorded.URN.Type()))
				}
			}
			require.ElementsMatch(t, parts, names)
		})
	}
}

func TestPingpongPartsFollowTheHouseRules(t *testing.T) {
	recording := recorder.Run(t, program())
	for name, part := range map[string]struct {
		object      metav1.Object
		inCluster   string
		annotations map[string]string
	}{
		"counter-service": {recorder.Object[*corev1.Service](recording, "counter-service"), "pingpong-svc",
			map[string]string{"pulumi.com/patchFieldManager": "stateful-k3s", "pulumi.com/patchForce": "true",
				"pulumi.com/skipAwait": "true"}},
		"counter-budget": {recorder.Object[*policyv1.PodDisruptionBudget](recording, "counter-budget"),
			"pingpong", map[string]string{"pulumi.com/patchFieldManager": "stateful-k3s",
				"pulumi.com/patchForce": "true"}},
		"counter-deployment": {recorder.Object[*appsv1.Deployment](recording, "counter-deployment"), "pingpong",
			map[string]string{"pulumi.com/patchFieldManager": "stateful-k3s", "pulumi.com/patchForce": "true"}},
	} {
		require.Equal(t, "alice-exercises", part.object.GetNamespace(), name)
		require.Equal(t, part.inCluster, part.object.GetName(), name)
		require.Equal(t, map[string]string{
			"app.kubernetes.io/name":       "pingpong",
			"app.kubernetes.io/part-of":    "stateful-k3s",
			"app.kubernetes.io/managed-by": "pulumi",
		}, part.object.GetLabels(), name)
		require.Equal(t, part.annotations, part.object.GetAnnotations(), name)
	}
	namespace := []string{"exercises", "exercises-default-deny", "exercises-dns"}
	for _, recorded := range recording.All() {
		if recorded.Parent() == "counter" {
			require.Subset(t, recorded.DependsOn(), namespace, recorded.URN)
			require.False(t, recorded.Request.GetRetainOnDelete(), recorded.URN)
		}
	}
	require.Contains(t, recording.Get(t, "kubernetes:apps/v1:Deployment", "counter-deployment").DependsOn(),
		"db-statefulset")
	// It is there once the pods are ready.
	require.Contains(t, recording.Get(t, "kubernetes:core/v1:Service", "counter-service").DependsOn(),
		"counter-deployment")
}

func TestDeployment(t *testing.T) {
	recording := recorder.Run(t, program())
	spec := recorder.Object[*appsv1.Deployment](recording, "counter-deployment").Spec
	require.Equal(t, ptr.To[int32](2), spec.Replicas)
	pod := spec.Template.Spec
	require.Len(t, pod.Volumes, 1)
	require.Len(t, pod.Containers, 1)
	container := pod.Containers[0]
	require.Len(t, container.VolumeMounts, 1)
	mount := container.VolumeMounts[0]
	require.True(t, mount.ReadOnly)
	require.Equal(t, pod.Volumes[0].Name, mount.Name)
	require.Equal(t, "pingpong", container.Name)
	require.Equal(t, image, container.Image)
	require.Equal(t, kubetest.Resources("50m", "2", "64Mi"), container.Resources)
	require.Equal(t, []corev1.EnvVar{
		{Name: "URL_FILE", Value: mount.MountPath + "/URL"},
		{Name: "PORT", Value: "8080"},
		{Name: "METRICS_PORT", Value: "9090"},
	}, container.Env)
}

func TestPeopleReachItThroughTheIngress(t *testing.T) {
	recording := recorder.Run(t, program(func(args *pingpong.Args) {
		args.Ingress = &kube.Ingress{Class: "traefik", Namespace: "kube-system", Host: "alice.example.com"}
	}))
	ingress := recorder.Object[*networkingv1.Ingress](recording, "counter-ingress")
	paths := []string{}
	for _, path := range ingress.Spec.Rules[0].HTTP.Paths {
		paths = append(paths, path.Path)
		require.Equal(t, "pingpong-svc", path.Backend.Service.Name)
	}
	require.Equal(t, []string{"/pingpong", "/pings"}, paths)
	require.Equal(t, "http://alice.example.com/pingpong", recording.Outputs("counter")["url"].StringValue())
}

func TestPodsRestartWithANewPassword(t *testing.T) {
	digest := func(password string) string {
		recording := recorder.Run(t, func(ctx *pulumi.Context) error {
			return program(func(args *pingpong.Args) {
				args.Database.Owner.Digest = pulumi.String(
					password).ToStringOutput()
			})(ctx)
		})
		annotations := recorder.Object[*appsv1.Deployment](recording,
			"counter-deployment").Spec.Template.Annotations
		require.Len(t, annotations, 1)
		return annotations["stateful-k3s/postgres-client"]
	}
	require.Equal(t, "first", digest("first"))
	require.Equal(t, "second", digest("second"))
}

func TestConnections(t *testing.T) {
	recording := recorder.Run(t, program())
	pods := kubetest.Label("app", "pingpong")
	kubetest.RequireConnection(t, recording, "counter-client", "alice-exercises",
		kubetest.Label("pingpong-client", "true"), pods, 8080)
	kubetest.RequireConnection(t, recording, "counter-database", "alice-exercises", pods,
		kubetest.Label("app", "postgres"), 5432)
}

// Only what follows from the built image and the password is unknown in a preview.
func TestPreview(t *testing.T) {
	recording := recorder.Run(t, program(func(args *pingpong.Args) {
		args.Image = pulumi.UnsafeUnknownOutput(nil).ApplyT(func(any) string { return "" }).(pulumi.StringOutput)
	}), recorder.Preview())
	expected := recorder.Object[*appsv1.Deployment](recorder.Run(t, program()), "counter-deployment")
	expected.Spec.Template.Annotations["stateful-k3s/postgres-client"] = recorder.Unknown
	expected.Spec.Template.Spec.Containers[0].Image = recorder.Unknown
	require.Equal(t, expected, recorder.Object[*appsv1.Deployment](recording, "counter-deployment"))
}

func TestComponent(t *testing.T) {
	recording := recorder.Run(t, program(func(args *pingpong.Args) { args.Replicas = 3 }))
	require.Equal(t, resource.PropertyMap{
		"namespace": resource.NewProperty("alice-exercises"),
		"image":     resource.NewProperty(image),
		"replicas":  resource.NewProperty(3.0),
		"database":  resource.NewProperty("postgres-svc.alice-exercises.svc:5432"),
	}, recording.Get(t, componentType, "counter").Inputs)
	require.Equal(t, resource.NewPropertyMapFromMap(
		map[string]any{"address": "pingpong-svc.alice-exercises.svc:80", "url": ""}),
		recording.Outputs("counter"))
	require.Equal(t, ptr.To[int32](3),
		recorder.Object[*appsv1.Deployment](recording, "counter-deployment").Spec.Replicas)
}

func TestDeclarationErrors(t *testing.T) {
	recorder.RequireErrors(t, program(), map[string]string{
		"counter":                  "declaring pingpong counter: ",
		"counter-client-egress":    "pingpong counter: declaring network policy counter-client-egress: ",
		"counter-database-ingress": "pingpong counter: declaring network policy counter-database-ingress: ",
		"counter-service":          "pingpong counter: declaring service pingpong-svc: ",
		"counter-budget":           "pingpong counter: declaring pod disruption budget pingpong: ",
		"counter-deployment":       "pingpong counter: declaring deployment pingpong: ",
	})
}

func TestArgumentErrors(t *testing.T) {
	_, err := recorder.Try(t, program(func(args *pingpong.Args) { *args = pingpong.Args{} }))
	require.ErrorContains(t, err,
		"pingpong counter: Database is required\nImage is required\nNamespace is required")
}

package main

import (
	"context"
	"embed"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/database/cloudnativepg"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// withoutCluster is the program without a cluster or a registry to ask.
var withoutCluster = withMissingImages()

// withMissingImages is the program when the registry has lost images of apps.
func withMissingImages(apps ...string) pulumi.RunFunc { return withNodes(nil, apps...) }

// withNodes is the program on nodes of these platforms, when the registry has lost images of apps.
func withNodes(nodes cluster.Platforms, apps ...string) pulumi.RunFunc {
	check := func(r cluster.Requirements, _ *pulumi.Context, _ cluster.Access) (cluster.Approval, error) {
		approval := cluster.Approval{Kubeconfig: pulumi.String("its kubeconfig"), Platforms: nodes}
		if r.CloudNativePG {
			approval.CloudNativePG.APIServers = []netip.AddrPort{netip.MustParseAddrPort("10.231.1.3:6443")}
		}
		return approval, nil
	}
	return program(check, func(_ context.Context, refs map[string]string,
		_ authn.Authenticator) map[string]bool {
		missing := map[string]bool{}
		for _, app := range apps {
			if refs[app] == "registry.example.com/team/"+app+":dev@"+recorder.Digest {
				missing[app] = true
			}
		}
		return missing
	}, stubbed)
}

// releases are short manifests in place of the real ones of the operator and its plugin.
//
//go:embed testdata/releases
var releases embed.FS

func stubbed(of cloudnativepg.Release, _ context.Context) ([]byte, error) {
	return releases.ReadFile("testdata/releases/" + of.Name + ".yaml")
}

// Each database has a restore of its own. The database's clients wait for it.
func TestAppsStartAfterTheRestore(t *testing.T) {
	recording := recorder.Run(t, withoutCluster, settings(t, variants["restore"]))
	for database, users := range map[string][]string{
		"pingpong": {"pingpong-deployment", "pingpong-backup-job"},
		"todo":     {"todo-backend-deployment", "todo-backup-job"},
	} {
		for _, recorded := range recording.All() {
			if slices.Contains(users, recorded.URN.Name()) {
				require.Contains(t, recorded.DependsOn(), database+"-backup-restore-job", recorded.URN)
			}
		}
	}
}

// The preflight asks for the right to declare each kind of object that the program declares.
func TestPreflightKnowsEveryKind(t *testing.T) {
	kinds := []schema.GroupResource{}
	for _, recorded := range recorder.Run(t, withoutCluster, settings(t, nil)).All() {
		if recorded.Object == nil || kind(recorded) == "Namespace" {
			continue
		}
		plural, _ := meta.UnsafeGuessKindToResource(recorded.Object.GetObjectKind().GroupVersionKind())
		if kind := plural.GroupResource(); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	require.ElementsMatch(t, cluster.Declared, kinds)
}

// So it does for operators, and for a Gateway.
func TestPreflightKnowsTheKindsOfOthers(t *testing.T) {
	for variant, known := range map[string][]schema.GroupResource{
		"monitoring-operator": cluster.OfPrometheusOperator, "gateway": cluster.OfGateway,
		"cloudnative-pg": slices.Concat(cluster.OfCloudNativePG, cluster.OfItsArchives),
	} {
		kinds := map[schema.GroupResource]bool{}
		for _, recorded := range recorder.Run(t, withoutCluster, settings(t, variants[variant])).All() {
			if recorded.Object == nil {
				continue
			}
			plural, _ := meta.UnsafeGuessKindToResource(recorded.Object.GetObjectKind().GroupVersionKind())
			if slices.ContainsFunc(known, func(k schema.GroupResource) bool { return k.Group == plural.Group }) {
				kinds[plural.GroupResource()] = true
			}
		}
		require.ElementsMatch(t, known, slices.Collect(maps.Keys(kinds)), variant)
	}
}

// Every pod with metrics is in the table of what a Prometheus reads.
func TestEveryPodWithMetricsIsRead(t *testing.T) {
	recording := recorder.Run(t, withoutCluster, settings(t, map[string]string{"monitoring": "builtin"}))
	ports := map[string][]string{}
	for _, recorded := range recording.All() {
		if service, is := recorded.Object.(*corev1.Service); is && strings.HasPrefix(service.Name, "metrics-") {
			ports["read"] = append(ports["read"], fmt.Sprint(service.Namespace, service.Spec.Selector["app"],
				service.Spec.Ports[0].Port))
		}
		pod := podTemplate(recorded.Object)
		if pod == nil {
			continue
		}
		for _, container := range pod.Spec.Containers {
			for _, port := range container.Ports {
				if port.Name == "metrics" {
					namespace := recorded.Object.(metav1.Object).GetNamespace()
					ports["there"] = append(ports["there"], fmt.Sprint(namespace, pod.Labels["app"], port.ContainerPort))
				}
			}
		}
	}
	require.ElementsMatch(t, ports["there"], ports["read"])
	require.Len(t, ports["read"], 9)
}

// Their own Prometheus finds the same pods by annotations.
func TestAnnotationsOfPodsWithMetrics(t *testing.T) {
	recording := recorder.Run(t, withoutCluster, settings(t, map[string]string{"monitoring": "annotations"}))
	found := 0
	for _, recorded := range recording.All() {
		pod := podTemplate(recorded.Object)
		if pod == nil {
			continue
		}
		want := ""
		for _, container := range pod.Spec.Containers {
			for _, port := range container.Ports {
				if port.Name == "metrics" {
					want = fmt.Sprint(port.ContainerPort)
					found++
				}
			}
		}
		require.Equal(t, want, pod.Annotations["prometheus.io/port"], recorded.URN)
		require.Equal(t, want != "", pod.Annotations["prometheus.io/scrape"] == "true", recorded.URN)
	}
	require.Equal(t, 9, found)
}

func TestProgramWithoutIngress(t *testing.T) {
	recording := recorder.Run(t, withoutCluster, settings(t, map[string]string{"ingressClass": "none"}))
	require.Equal(t, []string{"Without an ingress nobody reaches the apps from outside. To see the page: " +
		"kubectl -n project port-forward service/todo-frontend-svc 8080:80"}, recording.Logs())
}

func TestChangesOfVolumesAreToldToTheUser(t *testing.T) {
	last := recorder.Last(recorder.Run(t, withoutCluster, settings(t, nil)).Outputs(""))
	require.Empty(t, recorder.Run(t, withoutCluster, settings(t, nil), last).Logs())
	logs := recorder.Run(t, withoutCluster, settings(t, variants["every-other-setting"]), last).Logs()
	require.Len(t, logs, 2)
	for i, beginning := range []string{
		"Namespaces that are not used any more: exercises, project and storage. ",
		"storageClass: new claims are of longhorn. ",
	} {
		require.True(t, strings.HasPrefix(logs[i], beginning), logs[i])
	}
}

func TestMissingImagesAreRebuilt(t *testing.T) {
	last := recorder.Last(recorder.Run(t, withoutCluster, settings(t, nil)).Outputs(""))
	program := withMissingImages("backup-postgres-18", "pingpong")
	rebuilt := func(options ...recorder.Option) (apps []string) {
		recording := recorder.Run(t, program, append(options, settings(t, nil))...)
		for _, recorded := range recording.All() {
			if kind(recorded) == "Image" &&
				!slices.Contains(recorded.Request.GetIgnoreChanges(), "buildArgs.STATEFUL_K3S_AGAIN") {
				apps = append(apps, recorded.URN.Name())
			}
		}
		require.Equal(t, len(apps) > 0, slices.Contains(recording.Logs(), "The registry has lost images. "+
			"They are built again, because no new pod could start without them: backup-postgres-18, pingpong."))
		return apps
	}
	require.Equal(t, []string{"backup-postgres-18", "pingpong"}, rebuilt(last))
	require.Empty(t, rebuilt(), "before the first up")
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

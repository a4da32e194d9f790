package monitoring_test

import (
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/monitoring"
)

// program declares the monitoring of two apps, by default with a Prometheus, after changes to its arguments.
func program(changes ...func(*monitoring.Args)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		apps, err := kube.NewNamespace(ctx, "apps", kube.NamespaceArgs{Name: "alice-apps"})
		if err != nil {
			return err
		}
		own, err := kube.NewNamespace(ctx, "monitoring", kube.NamespaceArgs{Name: "alice-monitoring"})
		if err != nil {
			return err
		}
		pods := func(app string) kube.Pods {
			return kube.Pods{Namespace: apps, Labels: map[string]string{"app": app}}
		}
		args := monitoring.Args{
			Metrics: []kube.Metrics{
				{Job: "web", Pods: pods("web"), Port: 9090, Count: 2},
				{Job: "postgres", Database: "shop", Pods: pods("shop-postgres"), Port: 9187, Count: 1},
			},
			Prometheus: &monitoring.Prometheus{Namespace: own, Image: pulumi.String("prom/prometheus:v2.53.3"),
				StorageClass: "local-path", StorageSize: "2Gi", Memory: "200Mi", KeepDays: 15},
		}
		for _, change := range changes {
			change(&args)
		}
		_, err = monitoring.New(ctx, "seen", args)
		return err
	}
}

// theirs is a Prometheus of the user's.
func theirs(args *monitoring.Args) {
	args.Prometheus = nil
	args.Scrapers = &kube.Pods{Namespace: &kube.Namespace{Name: "watch"}, Labels: map[string]string{"app": "p"}}
}

func TestPrometheusAsksAllPods(t *testing.T) {
	recording := recorder.Run(t, program())
	files := recorder.Object[*corev1.ConfigMap](recording, "prometheus-config").Data
	var config struct {
		ScrapeConfigs []struct {
			JobName string `yaml:"job_name"`
			DNS     []struct {
				Names []string
				Port  int
			} `yaml:"dns_sd_configs"`
			Relabel []map[string]string `yaml:"relabel_configs"`
		} `yaml:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(files["prometheus.yml"]), &config))
	require.Len(t, config.ScrapeConfigs, 3)
	shop := config.ScrapeConfigs[2]
	require.Equal(t, "postgres-shop", shop.JobName)
	require.Equal(t, []string{"metrics-shop-postgres.alice-apps.svc"}, shop.DNS[0].Names)
	require.Equal(t, 9187, shop.DNS[0].Port)
	require.Equal(t, []map[string]string{{"target_label": "job", "replacement": "postgres"},
		{"target_label": "namespace", "replacement": "alice-apps"},
		{"target_label": "database", "replacement": "shop"}}, shop.Relabel)

	service := recorder.Object[*corev1.Service](recording, "seen-postgres-shop-service")
	require.Equal(t, "metrics-shop-postgres", service.Name)
	require.Equal(t, map[string]string{"app": "shop-postgres"}, service.Spec.Selector)
	require.True(t, service.Spec.PublishNotReadyAddresses)
	for _, name := range []string{"seen-web-ingress", "seen-web-egress"} {
		recorder.Object[*networkingv1.NetworkPolicy](recording, name)
	}
}

func TestPrometheusKnowsHowManyPodsThereShouldBe(t *testing.T) {
	files := recorder.Object[*corev1.ConfigMap](recorder.Run(t, program()), "prometheus-config").Data
	var rules struct {
		Groups []struct{ Rules []map[string]any }
	}
	require.NoError(t, yaml.Unmarshal([]byte(files["expected.yaml"]), &rules))
	require.Equal(t, []map[string]any{
		{"record": "expected_targets", "expr": "vector(2)",
			"labels": map[string]any{"job": "web", "namespace": "alice-apps"}},
		{"record": "expected_targets", "expr": "vector(1)",
			"labels": map[string]any{"job": "postgres", "namespace": "alice-apps", "database": "shop"}},
	}, rules.Groups[0].Rules)
}

func TestPrometheusKeepsWithinItsLimits(t *testing.T) {
	pod := recorder.Object[*appsv1.StatefulSet](recorder.Run(t, program()), "prometheus-statefulset").
		Spec.Template.Spec
	arguments := strings.Join(pod.Containers[0].Args, " ")
	require.Contains(t, arguments, "--storage.tsdb.retention.size=1433MB")
	require.Contains(t, arguments, "--storage.tsdb.retention.time=15d")
	require.Equal(t, corev1.EnvVar{Name: "GOMEMLIMIT", Value: "188743680"}, pod.Containers[0].Env[0])
}

func TestPrometheusFollowsItsConfiguration(t *testing.T) {
	const annotation = "stateful-k3s/prometheus-config"
	annotations := func(changes ...func(*monitoring.Args)) map[string]string {
		recording := recorder.Run(t, program(changes...))
		return recorder.Object[*appsv1.StatefulSet](recording, "prometheus-statefulset").Spec.Template.Annotations
	}
	require.Equal(t, annotations(), annotations())
	require.NotEqual(t, annotations()[annotation],
		annotations(func(args *monitoring.Args) { args.Metrics[0].Count = 3 })[annotation])
}

// Their Prometheus is not the stack's to declare anything for, but policies and what finds the pods.
func TestAPrometheusOfTheUser(t *testing.T) {
	recording := recorder.Run(t, program(theirs))
	policy := recorder.Object[*networkingv1.NetworkPolicy](recording, "seen-web-ingress").Spec.Ingress[0]
	require.Equal(t, map[string]string{"app": "p"}, policy.From[0].PodSelector.MatchLabels)
	require.Equal(t, map[string]string{"kubernetes.io/metadata.name": "watch"},
		policy.From[0].NamespaceSelector.MatchLabels)
	names := strings.Join(recording.Names(), " ")
	require.Contains(t, names, "seen-postgres-shop-ingress")
	for _, other := range []string{"-egress", "-service", "-monitor", "prometheus-statefulset"} {
		require.NotContains(t, names, "seen/"+other)
		require.NotContains(t, names, "seen-web"+other)
	}

	recording = recorder.Run(t, program(theirs, func(args *monitoring.Args) {
		args.Monitors = &monitoring.Monitors{Labels: map[string]string{"release": "watch"}}
	}))
	monitor := recorder.Object[*monitoringv1.PodMonitor](recording, "seen-postgres-shop-monitor")
	require.Equal(t, "watch", monitor.Labels["release"])
	require.Equal(t, monitoringv1.PodMonitorSpec{
		Selector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "shop-postgres"}},
		PodMetricsEndpoints: []monitoringv1.PodMetricsEndpoint{{Port: ptr.To("metrics"),
			RelabelConfigs: []monitoringv1.RelabelConfig{
				{TargetLabel: "job", Replacement: ptr.To("postgres")},
				{TargetLabel: "database", Replacement: ptr.To("shop")},
			}}},
	}, monitor.Spec)
}

func TestErrors(t *testing.T) {
	recorder.RequireErrors(t, program(), map[string]string{
		"seen":                   "declaring monitoring seen: ",
		"seen-web-egress":        "monitoring seen: declaring network policy seen-web-egress: ",
		"seen-web-service":       "monitoring seen: declaring service metrics-web: ",
		"prometheus-config":      "monitoring seen: declaring config map prometheus-config: ",
		"prometheus-service":     "monitoring seen: declaring service prometheus-svc: ",
		"prometheus-statefulset": "monitoring seen: declaring stateful set prometheus-ss: ",
	})
	_, err := recorder.Try(t, program(func(args *monitoring.Args) { args.Prometheus = nil }))
	require.ErrorContains(t, err, "monitoring seen: either Prometheus or Scrapers is required")
	_, err = recorder.Try(t, program(func(args *monitoring.Args) { *args.Prometheus = monitoring.Prometheus{} }))
	require.ErrorContains(t, err, "monitoring seen: Image is required\nKeepDays is required\n")
	_, err = recorder.Try(t, program(func(args *monitoring.Args) { args.Prometheus.Memory = "lots" }))
	require.ErrorContains(t, err, `monitoring seen: reading Memory "lots": `)
}

func TestRulesForTheOperator(t *testing.T) {
	recording := recorder.Run(t, program(theirs, func(args *monitoring.Args) {
		args.Monitors = &monitoring.Monitors{Labels: map[string]string{"release": "kube-prometheus-stack"}}
	}))
	rule := recorder.Object[*monitoringv1.PrometheusRule](recording, "seen-rules")
	require.Equal(t, "kube-prometheus-stack", rule.Labels["release"])
	var names []string
	for _, group := range rule.Spec.Groups {
		names = append(names, group.Name)
	}
	require.Contains(t, names, "servers")
	require.Contains(t, names, "expected")
}

// Grafana's sidecar finds dashboards by the label, in all namespaces unless it is told otherwise.
func TestDashboards(t *testing.T) {
	for name, where := range map[string]struct {
		change    func(*monitoring.Args)
		namespace string
	}{
		"own":    {func(*monitoring.Args) {}, "alice-monitoring"},
		"theirs": {theirs, "alice-apps"},
	} {
		recording := recorder.Run(t, program(where.change))
		for _, dashboard := range []string{"system", "database"} {
			configMap := recorder.Object[*corev1.ConfigMap](recording, "seen-dashboard-"+dashboard)
			require.Equal(t, where.namespace, configMap.Namespace, name)
			require.Equal(t, "1", configMap.Labels["grafana_dashboard"])
			require.Contains(t, configMap.Data[dashboard+".json"], `"title": "stateful-k3s: `)
		}
	}
}

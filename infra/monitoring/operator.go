package monitoring

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"go.yaml.in/yaml/v3"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// apiVersion is the Prometheus operator's.
const apiVersion = "monitoring.coreos.com/v1"

// Monitors describes objects of the Prometheus operator.
type Monitors struct {
	// Labels are what a Prometheus chooses the objects by.
	Labels map[string]string
}

// declare declares a PodMonitor, which tells a Prometheus where to look.
func (m *Monitors) declare(ctx *pulumi.Context, name string, metrics kube.Metrics,
	parent pulumi.ResourceOption) error {
	relabelings := []any{map[string]any{"targetLabel": "job", "replacement": metrics.Job}}
	for label, value := range metrics.Labels() {
		relabelings = append(relabelings, map[string]any{"targetLabel": label, "replacement": value})
	}
	namespace := metrics.Pods.Namespace
	_, err := kube.NewObject(ctx, name+"-monitor", apiVersion, "PodMonitor", pulumi.Map{
		"metadata": namespace.Meta(metrics.Job, metrics.Pods.Labels["app"], m.Labels),
		"spec": pulumi.ToMap(map[string]any{
			"selector": map[string]any{"matchLabels": metrics.Pods.Labels},
			"podMetricsEndpoints": []any{
				map[string]any{"port": kube.MetricsPortName, "relabelings": relabelings},
			},
		}),
	}, parent, namespace.Ready())
	return err
}

// declareRules declares the alerts.
func (m *Monitors) declareRules(ctx *pulumi.Context, name string, namespace *kube.Namespace,
	metrics []kube.Metrics, parent pulumi.ResourceOption) error {
	expected, err := expectedRules(metrics)
	if err != nil {
		return err
	}
	var groups []any
	for _, text := range []string{expected, rules} {
		var file struct{ Groups []any }
		if err := yaml.Unmarshal([]byte(text), &file); err != nil {
			return fmt.Errorf("reading the rules: %w", err)
		}
		groups = append(groups, file.Groups...)
	}
	_, err = kube.NewObject(ctx, name+"-rules", apiVersion, "PrometheusRule", pulumi.Map{
		"metadata": namespace.Meta("prometheus", "stateful-k3s", m.Labels),
		"spec":     pulumi.ToMap(map[string]any{"groups": groups}),
	}, parent, namespace.Ready())
	return err
}

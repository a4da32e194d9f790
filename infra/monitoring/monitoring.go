// Package monitoring lets a Prometheus read the metrics of the stack: the stack's own, or one that is there.
package monitoring

import (
	_ "embed"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// Args describes who reads the metrics of what. Either Prometheus or Scrapers is required.
type Args struct {
	// Metrics are all that there are.
	Metrics []kube.Metrics
	// Prometheus is the stack's own; nil for none.
	Prometheus *Prometheus
	// Scrapers are the pods of a Prometheus that is there.
	Scrapers *kube.Pods
	// Monitors declares PodMonitors for the Prometheus operator, with these labels; nil for none.
	Monitors *Monitors
}

// Monitoring is the component.
type Monitoring struct {
	pulumi.ResourceState

	// URL is the address of the stack's own Prometheus at the ingress; empty without one.
	URL pulumi.StringOutput `pulumi:"url"`
}

// New declares the policies, and the Prometheus or the PodMonitors.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Monitoring, error) {
	if err := args.check(); err != nil {
		return nil, fmt.Errorf("monitoring %s: %w", name, err)
	}
	m := &Monitoring{URL: pulumi.String("").ToStringOutput()}
	err := ctx.RegisterComponentResourceV2("stateful-k3s:monitoring:Monitoring", name, pulumi.Map{}, m, opts...)
	if err != nil {
		return nil, fmt.Errorf("declaring monitoring %s: %w", name, err)
	}
	if err := m.declare(ctx, name, args); err != nil {
		return nil, fmt.Errorf("monitoring %s: %w", name, err)
	}
	return m, nil
}

func (m *Monitoring) declare(ctx *pulumi.Context, name string, args Args) (err error) {
	parent := pulumi.Parent(m)
	for _, metrics := range args.Metrics {
		if err := args.declareTarget(ctx, name+"-"+metrics.Name(), metrics, parent); err != nil {
			return err
		}
	}
	namespace := args.Metrics[0].Pods.Namespace
	if args.Prometheus != nil {
		namespace = args.Prometheus.Namespace
	}
	if args.Monitors != nil {
		if err := args.Monitors.declareRules(ctx, name, namespace, args.Metrics, parent); err != nil {
			return err
		}
	}
	if err := declareDashboards(ctx, name, namespace, parent); err != nil {
		return err
	}
	if args.Prometheus != nil {
		if m.URL, err = args.Prometheus.declare(ctx, "prometheus", args.Metrics, parent); err != nil {
			return err
		}
	}
	return ctx.RegisterResourceOutputs(m, pulumi.Map{"url": m.URL})
}

// declareTarget lets the pods be asked for their metrics, and found.
func (a *Args) declareTarget(ctx *pulumi.Context, name string, metrics kube.Metrics,
	parent pulumi.ResourceOption) error {
	connection := kube.Connection{To: metrics.Pods, Port: metrics.Port, Why: "asks for metrics"}
	if a.Prometheus == nil {
		connection.From = *a.Scrapers
		if err := kube.AllowFrom(ctx, name, connection, parent); err != nil || a.Monitors == nil {
			return err
		}
		return a.Monitors.declare(ctx, name, metrics, parent)
	}
	connection.From = a.Prometheus.pods()
	if err := kube.Allow(ctx, name, connection, parent); err != nil {
		return err
	}
	_, err := kube.HeadlessService{
		App: metrics.Job, Name: service(metrics), Pods: metrics.Pods, Port: metrics.Port,
		PortName: kube.MetricsPortName,
		NotReady: true, // a pod that is not ready is the most interesting one
	}.Declare(ctx, name+"-service", parent)
	return err
}

// service is the Service by which the stack's own Prometheus finds the pods.
func service(metrics kube.Metrics) string { return "metrics-" + metrics.Pods.Labels["app"] }

func (a *Args) check() error {
	if (a.Prometheus == nil) == (a.Scrapers == nil) {
		return errors.New("either Prometheus or Scrapers is required")
	}
	if a.Prometheus == nil {
		return nil
	}
	return a.Prometheus.check()
}

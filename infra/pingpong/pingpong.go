// Package pingpong declares the pods that count pings in Postgres.
package pingpong

import (
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// Args describes the pods. Namespace, Image and Database are required.
type Args struct {
	Namespace *kube.Namespace
	Image     pulumi.StringInput
	// Replicas is the number of pods, 2 by default. They share one count.
	Replicas int
	// Database keeps the count. It is in the same namespace.
	Database server.Server
	// Ingress publishes /pingpong and /pings; nil for none.
	Ingress *kube.Ingress
	// LogRequests makes the pods log a line for each request.
	LogRequests bool
}

// Pingpong is the component.
type Pingpong struct {
	pulumi.ResourceState

	// Address is host:port of the Service inside the cluster.
	Address pulumi.StringOutput `pulumi:"address"`
	// Metrics are the pods'.
	Metrics kube.Metrics
	// URL is the address at the ingress; empty without one.
	URL pulumi.StringOutput `pulumi:"url"`
}

// New declares the pods, their Service, their network policies and the Ingress.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Pingpong, error) {
	if err := args.check(); err != nil {
		return nil, fmt.Errorf("pingpong %s: %w", name, err)
	}
	p := &Pingpong{}
	inputs := pulumi.Map{"namespace": pulumi.String(args.Namespace.Name)}
	err := ctx.RegisterComponentResourceV2("stateful-k3s:pingpong:Pingpong", name, inputs, p, opts...)
	if err != nil {
		return nil, fmt.Errorf("declaring pingpong %s: %w", name, err)
	}
	if err := p.declare(ctx, name, args); err != nil {
		return nil, fmt.Errorf("pingpong %s: %w", name, err)
	}
	return p, nil
}

func (p *Pingpong) declare(ctx *pulumi.Context, name string, args Args) error {
	parent := pulumi.Parent(p)
	database := args.Database.Owner
	app := kube.WebApp{
		Namespace:   args.Namespace,
		Name:        "pingpong",
		Service:     "pingpong-svc",
		Image:       args.Image,
		Replicas:    args.Replicas,
		Memory:      "64Mi",
		LogRequests: args.LogRequests,
		Env:         corev1.EnvVarArray{database.Env},
		Volumes:     corev1.VolumeArray{database.Volume},
		Mounts:      corev1.VolumeMountArray{database.Mount},
		// The app rereads the file, but the kubelet takes a minute to update it.
		RestartOn: pulumi.StringMap{"stateful-k3s/postgres-client": database.Digest},
	}
	clients := kube.Pods{Namespace: args.Namespace, Labels: map[string]string{"pingpong-client": "true"}}
	err := kube.Allow(ctx, name+"-client", kube.Connection{
		From: clients, To: app.Pods(), Port: kube.HTTPPort, Why: "may ping, as its label says",
	}, parent)
	if err != nil {
		return err
	}
	err = kube.Allow(ctx, name+"-database", kube.Connection{
		From: app.Pods(), To: args.Database.Pods, Port: server.Port, Why: "keeps the count",
	}, parent)
	if err != nil {
		return err
	}
	service, err := app.Declare(ctx, name, parent, args.Database.Ready())
	if err != nil {
		return err
	}
	p.Metrics = app.Metrics()
	p.Address = pulumi.String(app.Address()).ToStringOutput()
	p.URL, err = args.Ingress.Publish(ctx, name,
		kube.Site{App: app, Service: service, Paths: []string{"/pingpong", "/pings"}}, parent)
	if err != nil {
		return err
	}
	return ctx.RegisterResourceOutputs(p, pulumi.Map{"address": p.Address, "url": p.URL})
}

// check sets defaults.
func (a *Args) check() error {
	if a.Replicas == 0 {
		a.Replicas = 2
	}
	return kube.Missing(map[string]bool{
		"Namespace": a.Namespace != nil, "Image": a.Image != nil, "Database": a.Database.Database != "",
	})
}

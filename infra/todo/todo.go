// Package todo declares the todo project: a backend that keeps todos in Postgres, a frontend with the page,
// and a CronJob that adds an article to read.
package todo

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// Args describes the pods. Namespace, the images and Database are required, and Daily except for its
// Authorities and Networks.
type Args struct {
	Namespace                               *kube.Namespace
	BackendImage, FrontendImage, DailyImage pulumi.StringInput
	// BackendReplicas and FrontendReplicas are the numbers of pods, 2 each by default.
	BackendReplicas, FrontendReplicas int
	// Database keeps the todos. It is in the same namespace.
	Database server.Server
	// AllowedOrigins are the origins of other web pages that may use the backend, with spaces between them, or
	// *, which is the default.
	AllowedOrigins string
	// OwnOrigins are the origins of proxies in front of the page, with spaces between them; none by default. The
	// page answers only to their names, to IP addresses, and to the names of its Service and Ingress.
	OwnOrigins string
	// Login are the users who may see and change the todos, as NAME:HASH with white space between them and
	// bcrypt's hash of the password; nil lets everybody.
	Login pulumi.StringInput
	Daily Daily
	// Ingress publishes the page; nil for none.
	Ingress *kube.Ingress
	// LogRequests makes the pods log a line for each request.
	LogRequests bool
}

// Todo is the component.
type Todo struct {
	pulumi.ResourceState

	// Backend and Frontend are host:port of the Services inside the cluster.
	Backend  pulumi.StringOutput `pulumi:"backend"`
	Frontend pulumi.StringOutput `pulumi:"frontend"`
	// Metrics are the backend's and the frontend's.
	Metrics []kube.Metrics
	// URL is the page's address at the ingress; empty without one.
	URL pulumi.StringOutput `pulumi:"url"`
}

// New declares the pods with their Services, settings and network policies, the CronJob and the Ingress.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Todo, error) {
	if err := args.check(); err != nil {
		return nil, fmt.Errorf("todo %s: %w", name, err)
	}
	t := &Todo{}
	inputs := pulumi.Map{"namespace": pulumi.String(args.Namespace.Name)}
	if err := ctx.RegisterComponentResourceV2("stateful-k3s:todo:Todo", name, inputs, t, opts...); err != nil {
		return nil, fmt.Errorf("declaring todo %s: %w", name, err)
	}
	if err := t.declare(ctx, name, args); err != nil {
		return nil, fmt.Errorf("todo %s: %w", name, err)
	}
	return t, nil
}

func (t *Todo) declare(ctx *pulumi.Context, name string, args Args) error {
	parent := pulumi.Parent(t)
	settings, err := newSettings(ctx, name+"-config", args, parent)
	if err != nil {
		return err
	}
	// The frontend waits for the backend, and the backend for the database.
	interval, err := args.Daily.schedule().Interval()
	if err != nil {
		return err
	}
	backend := backendApp(args, interval)
	service, err := declareBackend(ctx, name+"-backend", backend, args.Database, parent, after(settings))
	if err != nil {
		return err
	}
	frontend := frontendApp(args)
	t.URL, err = declareFrontend(ctx, name+"-frontend", args, frontend, backend, parent,
		after(settings, service))
	if err != nil {
		return err
	}
	if err := declareDaily(ctx, name+"-daily", args, backend, parent, after(settings, service)); err != nil {
		return err
	}
	t.Metrics = []kube.Metrics{backend.Metrics(), frontend.Metrics()}
	t.Backend = pulumi.String(backend.Address()).ToStringOutput()
	t.Frontend = pulumi.String(frontend.Address()).ToStringOutput()
	return ctx.RegisterResourceOutputs(t, pulumi.Map{"backend": t.Backend, "frontend": t.Frontend, "url": t.URL})
}

func after(resources ...pulumi.Resource) pulumi.ResourceOption {
	return pulumi.DependsOn(resources)
}

// clients are other pods that may use backend and frontend.
func clients(ns *kube.Namespace) kube.Pods {
	return kube.Pods{Namespace: ns, Labels: map[string]string{"todo-client": "true"}}
}

// check sets defaults.
func (a *Args) check() error {
	for _, replicas := range []*int{&a.BackendReplicas, &a.FrontendReplicas} {
		if *replicas == 0 {
			*replicas = 2
		}
	}
	if a.AllowedOrigins == "" {
		a.AllowedOrigins = "*"
	}
	if a.Daily.Networks == nil {
		a.Daily.Networks = kube.Internet
	}
	return kube.Missing(map[string]bool{
		"Namespace":        a.Namespace != nil,
		"BackendImage":     a.BackendImage != nil,
		"FrontendImage":    a.FrontendImage != nil,
		"DailyImage":       a.DailyImage != nil,
		"Database":         a.Database.Database != "",
		"Daily.Schedule":   a.Daily.Schedule != "",
		"Daily.TimeZone":   a.Daily.TimeZone != "",
		"Daily.ArticleURL": a.Daily.ArticleURL != "",
	})
}

package todo

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// shown is what people reach of the frontend: not its probes.
var shown = []string{"/", "/form", "/static", "/todos"}

func frontendApp(args Args) kube.WebApp {
	return kube.WebApp{
		Namespace: args.Namespace,
		Name:      "todo-frontend",
		Service:   "todo-frontend-svc",
		Image:     args.FrontendImage,
		Replicas:  args.FrontendReplicas,
		Memory:    "64Mi",
		Env:       corev1.EnvVarArray{setting(backendURL)},
	}
}

func declareFrontend(ctx *pulumi.Context, name string, app, backend kube.WebApp, ingress *kube.Ingress, parent, after pulumi.ResourceOption) (pulumi.StringOutput, error) {
	err := kube.Allow(ctx, name+"-backend", kube.Connection{
		From: app.Pods(), To: backend.Pods(), Port: kube.HTTPPort, Why: "shows and changes the todos",
	}, parent)
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	err = kube.Allow(ctx, name+"-client", kube.Connection{
		From: clients(app.Namespace), To: app.Pods(), Port: kube.HTTPPort, Why: "may see the page, as its label says",
	}, parent)
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	service, err := app.Declare(ctx, name, parent, after)
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	return ingress.Publish(ctx, name, kube.Site{App: app, Service: service, Paths: shown}, parent)
}

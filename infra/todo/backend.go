package todo

import (
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const backendService = "todo-backend-svc"

func backendApp(args Args, interval time.Duration) kube.WebApp {
	database := args.Database.Owner
	return kube.WebApp{
		Namespace:   args.Namespace,
		Name:        "todo-backend",
		Service:     backendService,
		Image:       args.BackendImage,
		Replicas:    args.BackendReplicas,
		Memory:      "64Mi",
		LogRequests: args.LogRequests,
		Env: corev1.EnvVarArray{database.Env, setting(allowedOrigins),
			kube.Env("DAILY_TODO_INTERVAL", interval.String())},
		Volumes: corev1.VolumeArray{database.Volume},
		Mounts:  corev1.VolumeMountArray{database.Mount},
		RestartOn: pulumi.StringMap{
			// The app rereads the file, but the kubelet takes a minute to update it.
			"stateful-k3s/postgres-client": database.Digest,
			"stateful-k3s/allowed-origins": pulumi.String(args.AllowedOrigins),
		},
	}
}

func declareBackend(ctx *pulumi.Context, name string, app kube.WebApp, database server.Server, parent,
	after pulumi.ResourceOption) (*corev1.Service, error) {
	err := kube.Allow(ctx, name+"-database", kube.Connection{
		From: app.Pods(), To: database.Pods, Port: server.Port, Why: "keeps the todos",
	}, parent)
	if err != nil {
		return nil, err
	}
	err = kube.Allow(ctx, name+"-client", kube.Connection{
		From: clients(app.Namespace), To: app.Pods(), Port: kube.HTTPPort,
		Why: "may use the todos, as its label says",
	}, parent)
	if err != nil {
		return nil, err
	}
	return app.Declare(ctx, name, parent, after, database.Ready())
}

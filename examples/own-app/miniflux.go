package main

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database"
	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// newMiniflux declares the app, which starts when its database is restored, and shows it below /miniflux.
func newMiniflux(ctx *pulumi.Context, namespace *kube.Namespace, appImage pulumi.StringInput,
	db *database.Database, inCluster pulumi.ResourceOption) error {
	password, err := kube.NewPassword(ctx, "admin", kube.PasswordArgs{Version: "1"})
	if err != nil {
		return err
	}
	admin, err := kube.NewSecret(ctx, "admin", kube.SecretArgs{
		Namespace: namespace, App: name, Name: "admin", Data: map[string]pulumi.StringInput{"password": password},
	}, inCluster)
	if err != nil {
		return err
	}
	app := kube.WebApp{
		Namespace: namespace,
		Name:      name,
		Service:   name,
		Image:     appImage,
		Replicas:  1,
		Memory:    "128Mi",
		LivePath:  "/healthz",
		Env: corev1.EnvVarArray{
			corev1.EnvVarArgs{Name: pulumi.String("DATABASE_URL_FILE"), Value: db.Owner.Env.Value},
			kube.Env("RUN_MIGRATIONS", "1"),
			kube.Env("CREATE_ADMIN", "1"),
			kube.Env("ADMIN_USERNAME", "admin"),
			kube.Env("ADMIN_PASSWORD_FILE", "/run/secrets/admin/password"),
			kube.Env("BASE_URL", "http://localhost/miniflux"), // people may have another host
		},
		Volumes: corev1.VolumeArray{db.Owner.Volume,
			kube.SecretVolume("admin", "admin", 0o444, map[string]string{"password": "password"})},
		Mounts:    corev1.VolumeMountArray{db.Owner.Mount, kube.ReadOnly("admin", "/run/secrets/admin")},
		RestartOn: pulumi.StringMap{"own-app/database": db.Owner.Digest},
	}
	if err := kube.Allow(ctx, name+"-database", kube.Connection{
		From: app.Pods(), To: db.Pods, Port: server.Port, Why: "keeps feeds and what was read",
	}, inCluster); err != nil {
		return err
	}
	if err := kube.AllowOutbound(ctx, name+"-feeds", kube.Outbound{
		From: app.Pods(), Networks: kube.Internet, URL: pulumi.String("https://"), Why: "fetches feeds",
	}, inCluster); err != nil {
		return err
	}
	service, err := app.Declare(ctx, name, inCluster, db.Ready(), pulumi.DependsOn([]pulumi.Resource{admin}))
	if err != nil {
		return err
	}
	ingress := kube.Ingress{Class: "traefik", Namespace: "kube-system"}
	site := kube.Site{App: app, Service: service, Paths: []string{"/miniflux"}}
	url, err := ingress.Publish(ctx, name, site, inCluster)
	if err != nil {
		return err
	}
	ctx.Export("url", url)
	ctx.Export("adminPassword", password)
	ctx.Export("backups", db.Backups)
	return nil
}

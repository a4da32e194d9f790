package kube_test

import (
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// oneOfEach declares an object of each kind.
func oneOfEach(ctx *pulumi.Context) error {
	if _, err := kube.NewProvider(ctx, "k3s", pulumi.String("its kubeconfig")); err != nil {
		return err
	}
	namespace, err := exercisesNamespace(ctx)
	if err != nil {
		return err
	}
	if _, err := kube.NewPassword(ctx, "password", kube.PasswordArgs{Version: "1"}); err != nil {
		return err
	}
	certificate := kube.CertificateArgs{Names: []string{"db"}}
	if _, err := kube.NewCertificate(ctx, "certificate", certificate); err != nil {
		return err
	}
	app := kube.WebApp{Namespace: namespace, Name: "shop", Service: "shop-svc", Image: pulumi.String("shop"),
		Replicas: 1, Memory: "48Mi"}
	service, err := app.Declare(ctx, "shop")
	if err != nil {
		return err
	}
	ingress := &kube.Ingress{Class: "traefik", Namespace: "kube-system"}
	site := kube.Site{App: app, Service: service, Paths: []string{"/"}}
	if _, err := ingress.Publish(ctx, "shop", site); err != nil {
		return err
	}
	set := kube.StatefulSet{Namespace: namespace, Name: "shelf-ss", Service: "shelf-svc", Replicas: 1,
		Pod: kube.Pod{App: "shelf"}, Claim: kube.Claim("shelf", "data", "local-path", "1Gi")}
	if _, err := set.Declare(ctx, "shelf"); err != nil {
		return err
	}
	job := kube.Job{Namespace: namespace, Name: "sweep", Deadline: time.Hour}
	if _, err := job.Declare(ctx, "sweep-job"); err != nil {
		return err
	}
	return job.DeclareCron(ctx, "sweep-cronjob", kube.Schedule{Cron: "0 2 * * *", TimeZone: "Etc/UTC"})
}

func TestErrorsNameTheObject(t *testing.T) {
	recorder.RequireErrors(t, oneOfEach, map[string]string{
		"k3s":                     "declaring provider k3s: ",
		"exercises":               "declaring namespace alice-exercises: ",
		"exercises-default-deny":  "declaring network policy exercises-default-deny: ",
		"exercises-dns":           "declaring network policy exercises-dns: ",
		"exercises-registry":      "declaring secret registry: ",
		"password":                "declaring password password: ",
		"certificate":             "declaring certificate certificate: ",
		"shop-budget":             "declaring pod disruption budget shop: ",
		"shop-deployment":         "declaring deployment shop: ",
		"shop-service":            "declaring service shop-svc: ",
		"shop-controller-ingress": "declaring network policy shop-controller-ingress: ",
		"shop-ingress":            "declaring ingress shop: ",
		"shelf-budget":            "declaring pod disruption budget shelf-ss: ",
		"shelf":                   "declaring stateful set shelf-ss: ",
		"sweep-job":               "declaring job sweep: ",
		"sweep-cronjob":           "declaring cron job sweep: ",
	})
	_, err := recorder.Try(t, func(ctx *pulumi.Context) error {
		_, err := kube.NewNamespace(ctx, "exercises", kube.NamespaceArgs{})
		return err
	})
	require.ErrorContains(t, err, "namespace exercises: Name is required")
}

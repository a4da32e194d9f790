package kube_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

func TestURLOfTheIngress(t *testing.T) {
	for name, test := range map[string]struct {
		host, tlsSecret string
		status          map[string]any
		url             string
	}{
		"address":     {status: map[string]any{"ip": "10.231.1.2"}, url: "http://10.231.1.2/"},
		"name":        {status: map[string]any{"hostname": "lb.example.com"}, url: "http://lb.example.com/"},
		"not served":  {},
		"host":        {host: "shop.example.com", url: "http://shop.example.com/"},
		"certificate": {host: "shop.example.com", tlsSecret: "shop-tls", url: "https://shop.example.com/"},
	} {
		t.Run(name, func(t *testing.T) {
			ingress := &kube.Ingress{Class: "nginx", Namespace: "ingress-nginx", Host: test.host,
				TLSSecret: test.tlsSecret}
			status := map[string]any{"loadBalancer": map[string]any{"ingress": []any{test.status}}}
			recording := recorder.Run(t, func(ctx *pulumi.Context) error {
				namespace, err := kube.NewNamespace(ctx, "project", kube.NamespaceArgs{Name: "project"})
				if err != nil {
					return err
				}
				app := kube.WebApp{Namespace: namespace, Name: "shop", Service: "shop-svc",
					Image: pulumi.String("shop"), Replicas: 1, Memory: "48Mi"}
				service, err := app.Declare(ctx, "shop")
				if err != nil {
					return err
				}
				url, err := ingress.Publish(ctx, "shop",
					kube.Site{App: app, Service: service, Paths: []string{"/", "/static"}})
				ctx.Export("url", url)
				return err
			}, recorder.Outputs("kubernetes:networking.k8s.io/v1:Ingress",
				resource.NewPropertyMapFromMap(map[string]any{"status": status})))
			require.Equal(t, test.url, recording.Outputs("")["url"].StringValue())
		})
	}
}

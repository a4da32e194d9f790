package kube_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

func TestURLOfTheGateway(t *testing.T) {
	for name, test := range map[string]struct {
		host    string
		gateway kube.Gateway
		url     string
	}{
		"address":      {gateway: kube.Gateway{Address: "10.231.1.2"}, url: "http://10.231.1.2/"},
		"host":         {host: "shop.lan", gateway: kube.Gateway{Address: "10.231.1.2"}, url: "http://shop.lan/"},
		"certificate":  {host: "shop.lan", gateway: kube.Gateway{HTTPS: true}, url: "https://shop.lan/"},
		"not known":    {},
		"by a preview": {host: "shop.lan", url: "http://shop.lan/"},
	} {
		t.Run(name, func(t *testing.T) {
			test.gateway.Namespace, test.gateway.Name = "web", "public"
			ingress := &kube.Ingress{Namespace: "web", Host: test.host, Gateway: &test.gateway}
			recording := recorder.Run(t, func(ctx *pulumi.Context) error {
				namespace, err := exercisesNamespace(ctx)
				if err != nil {
					return err
				}
				app := kube.WebApp{Namespace: namespace, Name: "shop", Service: "shop-svc",
					Image: pulumi.String("shop"), Replicas: 1, Memory: "48Mi"}
				service, err := app.Declare(ctx, "shop")
				if err != nil {
					return err
				}
				url, err := ingress.Publish(ctx, "shop", kube.Site{App: app, Service: service, Paths: []string{"/"}})
				ctx.Export("url", url)
				return err
			})
			require.Equal(t, test.url, recording.Outputs("")["url"].StringValue())
		})
	}
}

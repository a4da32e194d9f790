package kube_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// publish shows / and /static of an app, and exports the URL.
func publish(ingress *kube.Ingress) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		namespace, err := kube.NewNamespace(ctx, "project", kube.NamespaceArgs{Name: "alice-project"})
		if err != nil {
			return err
		}
		app := kube.WebApp{Namespace: namespace, Name: "shop", Service: "shop-svc", Image: pulumi.String("shop"),
			Replicas: 1, Memory: "48Mi"}
		service, err := app.Declare(ctx, "shop")
		if err != nil {
			return err
		}
		url, err := ingress.Publish(ctx, "shop",
			kube.Site{App: app, Service: service, Paths: []string{"/", "/static"}})
		if err != nil {
			return err
		}
		ctx.Export("url", url)
		return nil
	}
}

func TestIngress(t *testing.T) {
	recording := recorder.Run(t, publish(&kube.Ingress{
		Class: "traefik", Namespace: "kube-system", Host: "alice.example.com", TLSSecret: "shop-tls",
	}))
	path := func(path string, kind networkingv1.PathType) networkingv1.HTTPIngressPath {
		return networkingv1.HTTPIngressPath{Path: path, PathType: &kind, Backend: networkingv1.IngressBackend{
			Service: &networkingv1.IngressServiceBackend{Name: "shop-svc",
				Port: networkingv1.ServiceBackendPort{Name: "http"}},
		}}
	}
	ingress := recorder.Object[*networkingv1.Ingress](recording, "shop-ingress")
	require.Equal(t, "shop", ingress.Name)
	require.Equal(t, "alice-project", ingress.Namespace)
	require.Equal(t, networkingv1.IngressSpec{
		IngressClassName: ptr.To("traefik"),
		TLS:              []networkingv1.IngressTLS{{Hosts: []string{"alice.example.com"}, SecretName: "shop-tls"}},
		Rules: []networkingv1.IngressRule{{
			Host: "alice.example.com",
			IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{
				path("/", networkingv1.PathTypeExact), path("/static", networkingv1.PathTypePrefix),
			}}},
		}},
	}, ingress.Spec)
	require.Equal(t, "https://alice.example.com/", recording.Outputs("")["url"].StringValue())
	require.Subset(t, recording.Get(t, "kubernetes:networking.k8s.io/v1:Ingress", "shop-ingress").DependsOn(),
		[]string{"project", "shop-service"})

	policy := recorder.Object[*networkingv1.NetworkPolicy](recording, "shop-controller-ingress")
	require.Equal(t, metav1.LabelSelector{MatchLabels: map[string]string{"app": "shop"}},
		policy.Spec.PodSelector)
	require.Equal(t, []networkingv1.NetworkPolicyPeer{{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "kube-system"}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{}},
	}}, policy.Spec.Ingress[0].From)
	require.Equal(t, int32(8080), policy.Spec.Ingress[0].Ports[0].Port.IntVal)
	require.NotContains(t, recording.Names(),
		"shop-controller-egress kubernetes:networking.k8s.io/v1:NetworkPolicy")
}

func TestIngressForAnyHost(t *testing.T) {
	anyHost := publish(&kube.Ingress{Class: "nginx", Namespace: "ingress-nginx"})
	for name, test := range map[string]struct {
		status map[string]any
		url    string
	}{
		"address":    {map[string]any{"ip": "10.231.1.2"}, "http://10.231.1.2/"},
		"name":       {map[string]any{"hostname": "lb.example.com"}, "http://lb.example.com/"},
		"not served": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			options := []recorder.Option{}
			if test.status != nil {
				options = append(options, recorder.Outputs("kubernetes:networking.k8s.io/v1:Ingress",
					resource.NewPropertyMapFromMap(map[string]any{
						"status": map[string]any{"loadBalancer": map[string]any{"ingress": []any{test.status}}},
					})))
			}
			recording := recorder.Run(t, anyHost, options...)
			require.Equal(t, test.url, recording.Outputs("")["url"].StringValue())
			spec := recorder.Object[*networkingv1.Ingress](recording, "shop-ingress").Spec
			require.Empty(t, spec.TLS)
			require.Empty(t, spec.Rules[0].Host)
		})
	}
}

func TestIngressControllerOnItsNodesNetwork(t *testing.T) {
	recording := recorder.Run(t, publish(&kube.Ingress{
		Class: "nginx", Namespace: "ingress-nginx",
		Networks: []kube.Network{{CIDR: "10.0.0.0/16"}, {CIDR: "fd00::/64"}},
	}))
	from := recorder.Object[*networkingv1.NetworkPolicy](recording,
		"shop-controller-ingress").Spec.Ingress[0].From
	require.Len(t, from, 3)
	require.Equal(t, "ingress-nginx", from[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])
	require.Equal(t, []networkingv1.NetworkPolicyPeer{
		{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/16", Except: []string{}}},
		{IPBlock: &networkingv1.IPBlock{CIDR: "fd00::/64", Except: []string{}}},
	}, from[1:])
}

func TestNoIngress(t *testing.T) {
	recording := recorder.Run(t, publish(nil))
	require.Equal(t, "", recording.Outputs("")["url"].StringValue())
	require.NotContains(t, recording.Names(), "shop-ingress kubernetes:networking.k8s.io/v1:Ingress")
	require.NotContains(t, recording.Names(),
		"shop-controller-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy")
}

func TestIngressErrors(t *testing.T) {
	recorder.RequireErrors(t, publish(&kube.Ingress{Class: "traefik", Namespace: "kube-system"}),
		map[string]string{
			"shop-controller-ingress": "declaring network policy shop-controller-ingress: ",
			"shop-ingress":            "declaring ingress shop: ",
		})
}

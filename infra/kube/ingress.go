package kube

import (
	"cmp"
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Ingress says how the cluster's ingress controller shows apps to people. A nil Ingress shows nothing.
type Ingress struct {
	// Class is the controller's ingress class. Its pods are in Namespace.
	Class, Namespace string
	// Networks are the addresses that the controller connects from, if its pods are on their nodes' network,
	// where network policies do not recognize them as pods; nil otherwise.
	Networks []Network
	// Host is the name that people reach the apps by; empty for any name and address of the controller.
	Host string
	// TLSSecret names the Secret with the certificate of Host, in the namespace of each app; empty for plain
	// HTTP.
	TLSSecret string
	// Issuer names the ClusterIssuer by which cert-manager makes TLSSecret; empty if somebody else does.
	Issuer string
	// Annotations are added to each Ingress or route, for its controller.
	Annotations map[string]string
	// Gateway makes each app a route of it instead of an Ingress; nil for none. Class, TLSSecret and Issuer are
	// for Ingresses alone.
	Gateway *Gateway
}

// What cert-manager reads from an Ingress, and the pods by which it proves to an issuer that Host leads here.
// Source: https://cert-manager.io/docs/usage/ingress/ and /docs/configuration/acme/http01/
const (
	IssuerAnnotation = "cert-manager.io/cluster-issuer"

	solverLabel = "acme.cert-manager.io/http01-solver"
	solverPort  = 8089
)

// Site is the part of an app that people reach.
type Site struct {
	App     WebApp
	Service *corev1.Service
	// Port of the pods and of a headless Service; by default HTTPPort of the pods, and of the Service what
	// WebApp gives it. The Service calls it http.
	Port int
	// Paths include all below them, except that / is the root alone.
	Paths []string
}

// Publish declares the app's Ingress or route, and lets the controller connect to the app. Pulumi waits until
// the controller serves it. It returns the URL of the first path, or "" for a nil Ingress.
func (i *Ingress) Publish(ctx *pulumi.Context, name string, site Site,
	opts ...pulumi.ResourceOption) (pulumi.StringOutput, error) {
	if i == nil {
		return pulumi.String("").ToStringOutput(), nil
	}
	// All pods of the namespace: the controller's labels differ from cluster to cluster.
	controller := Pods{Namespace: &Namespace{Name: i.Namespace}}
	from := append(networkingv1.NetworkPolicyPeerArray{controller.peer()}, peersIn(i.Networks)...)
	if err := allowFrom(ctx, name+"-controller", from, site.App.Pods(), cmp.Or(site.Port, HTTPPort),
		"shows the app to people", opts...); err != nil {
		return pulumi.StringOutput{}, err
	}
	if i.Issuer != "" {
		solver := Pods{Namespace: site.App.Namespace, Labels: map[string]string{solverLabel: "true"}}
		if err := allowFrom(ctx, name+"-issuer", from, solver, solverPort,
			"shows an issuer of certificates that the name leads here", opts...); err != nil {
			return pulumi.StringOutput{}, err
		}
	}
	opts = append(opts, site.App.Namespace.Ready(), pulumi.DependsOn([]pulumi.Resource{site.Service}))
	if i.Gateway != nil {
		err := i.Gateway.declare(ctx, name, site, i.meta(site.App), i.Host, opts...)
		return i.Gateway.url(i.Host, site.Paths[0]), err
	}
	ingress, err := networkingv1.NewIngress(ctx, name+"-ingress", &networkingv1.IngressArgs{
		Metadata: i.meta(site.App),
		Spec:     i.spec(site),
	}, opts...)
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("declaring ingress %s: %w", site.App.Name, err)
	}
	return i.url(ingress, site.Paths[0]), nil
}

func (i *Ingress) meta(app WebApp) *metav1.ObjectMetaArgs {
	meta := app.Namespace.Meta(app.Name, app.Name, nil)
	for key, value := range i.Annotations {
		Annotate(meta, key, value)
	}
	if i.Issuer != "" {
		Annotate(meta, IssuerAnnotation, i.Issuer)
	}
	return meta
}

func (i *Ingress) spec(site Site) networkingv1.IngressSpecArgs {
	rule := networkingv1.IngressRuleArgs{Http: networkingv1.HTTPIngressRuleValueArgs{Paths: i.paths(site)}}
	spec := networkingv1.IngressSpecArgs{IngressClassName: pulumi.String(i.Class)}
	if i.Host != "" {
		rule.Host = pulumi.String(i.Host)
	}
	if i.TLSSecret != "" {
		spec.Tls = networkingv1.IngressTLSArray{networkingv1.IngressTLSArgs{
			Hosts: pulumi.StringArray{pulumi.String(i.Host)}, SecretName: pulumi.String(i.TLSSecret),
		}}
	}
	spec.Rules = networkingv1.IngressRuleArray{rule}
	return spec
}

func (i *Ingress) paths(site Site) networkingv1.HTTPIngressPathArray {
	paths := networkingv1.HTTPIngressPathArray{}
	for _, path := range site.Paths {
		kind := "Prefix"
		if path == "/" {
			kind = "Exact"
		}
		paths = append(paths, networkingv1.HTTPIngressPathArgs{
			Path:     pulumi.String(path),
			PathType: pulumi.String(kind),
			Backend: networkingv1.IngressBackendArgs{Service: networkingv1.IngressServiceBackendArgs{
				Name: pulumi.String(site.App.Service),
				Port: networkingv1.ServiceBackendPortArgs{Name: pulumi.String("http")},
			}},
		})
	}
	return paths
}

// url uses Host, or else the address that the controller wrote into the Ingress.
func (i *Ingress) url(ingress *networkingv1.Ingress, path string) pulumi.StringOutput {
	scheme := "http"
	if i.TLSSecret != "" {
		scheme = "https"
	}
	if i.Host != "" {
		return pulumi.Sprintf("%s://%s%s", scheme, i.Host, path)
	}
	return ingress.Status.ApplyT(func(status *networkingv1.IngressStatus) string {
		if status == nil || status.LoadBalancer == nil {
			return ""
		}
		for _, at := range status.LoadBalancer.Ingress {
			for _, host := range []*string{at.Hostname, at.Ip} {
				if host != nil && *host != "" {
					return scheme + "://" + *host + path
				}
			}
		}
		return ""
	}).(pulumi.StringOutput)
}

package kube

import (
	"cmp"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Gateway is a Gateway that is in the cluster. It has the addresses, ports and certificates of its routes.
type Gateway struct {
	Namespace, Name string
	// Address is where the cluster shows it to people; empty if that is not known.
	Address string
	// HTTPS says that it has a certificate for the host.
	HTTPS bool
}

const (
	gatewayGroup = "gateway.networking.k8s.io"

	// waitAnnotation is what Pulumi waits for in objects whose kind it does not know.
	// Source: https://www.pulumi.com/registry/packages/kubernetes/installation-configuration/
	waitAnnotation = "pulumi.com/waitFor"
	accepted       = `jsonpath={.status.parents[0].conditions[?(@.type=="Accepted")].status}=True`
)

// declare declares the route that leads people from the Gateway to the app.
func (g *Gateway) declare(ctx *pulumi.Context, name string, site Site, meta *metav1.ObjectMetaArgs,
	host string, opts ...pulumi.ResourceOption) error {
	Annotate(meta, waitAnnotation, accepted)
	// It has all fields that the cluster would add to lists: a refresh then finds no difference.
	spec := map[string]any{
		"parentRefs": []any{map[string]any{
			"group": gatewayGroup, "kind": "Gateway", "namespace": g.Namespace, "name": g.Name,
		}},
		"rules": []any{map[string]any{
			"matches": matches(site.Paths),
			"backendRefs": []any{map[string]any{
				"group": "", "kind": "Service", "name": site.App.Service, "port": cmp.Or(site.Port, servicePort),
				"weight": 1,
			}},
		}},
	}
	if host != "" {
		spec["hostnames"] = []any{host}
	}
	_, err := NewObject(ctx, name+"-route", gatewayGroup+"/v1", "HTTPRoute", pulumi.Map{
		"metadata": meta,
		"spec":     pulumi.ToMap(spec),
	}, opts...)
	return err
}

func matches(paths []string) (all []any) {
	for _, path := range paths {
		kind := "PathPrefix"
		if path == "/" {
			kind = "Exact"
		}
		all = append(all, map[string]any{"path": map[string]any{"type": kind, "value": path}})
	}
	return all
}

// url uses host, or else the Gateway's address.
func (g *Gateway) url(host, path string) pulumi.StringOutput {
	scheme := "http"
	if g.HTTPS {
		scheme = "https"
	}
	if host = cmp.Or(host, g.Address); host == "" {
		return pulumi.String("").ToStringOutput()
	}
	return pulumi.String(scheme + "://" + host + path).ToStringOutput()
}

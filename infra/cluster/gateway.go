package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// OfGateway is the kind that the stack declares for a Gateway.
var OfGateway = []schema.GroupResource{{Group: gatewayv1.GroupName, Resource: "httproutes"}}

// gatewayNameLabel is on a Gateway's pods, if its controller starts pods for each.
// Source: https://gateway-api.sigs.k8s.io/geps/gep-1762/
const gatewayNameLabel = gatewayv1.GroupName + "/gateway-name"

// usesGateway reports whether the apps are routes of a Gateway.
func (r Requirements) usesGateway() bool { return r.Ingress != nil && r.Ingress.Gateway != nil }

// findGateway returns the Gateway of the settings. It is nil without one, and if the user may not read it.
func (r Requirements) findGateway(ctx context.Context, client kubernetes.Interface) (*gatewayv1.Gateway,
	error) {
	if !r.usesGateway() {
		return nil, nil
	}
	wanted := r.Ingress.Gateway
	name := wanted.Namespace + "/" + wanted.Name
	found := &gatewayv1.Gateway{}
	text, err := client.Discovery().RESTClient().Get().AbsPath("/apis", gatewayv1.GroupVersion.String(),
		"namespaces", wanted.Namespace, "gateways", wanted.Name).DoRaw(ctx)
	switch {
	case apierrors.IsNotFound(err):
		return nil, missingGateway(client, name)
	case err != nil:
		return nil, unlessForbidden(err, "Gateway "+name)
	}
	if err := json.Unmarshal(text, found); err != nil {
		return nil, fmt.Errorf("reading the cluster's Gateway %s: %w", name, err)
	}
	return found, nil
}

// takesRoutes fails unless the Gateway takes routes of all namespaces with apps for people. Otherwise an
// update would wait for a route that nobody serves.
func (r Requirements) takesRoutes(ctx context.Context, client kubernetes.Interface,
	gateway *gatewayv1.Gateway) error {
	if gateway == nil {
		return nil
	}
	name := gateway.Namespace + "/" + gateway.Name
	if !meta.IsStatusConditionTrue(gateway.Status.Conditions, string(gatewayv1.GatewayConditionAccepted)) {
		return fmt.Errorf("no controller serves the Gateway %s, of the class %s: kubectl --namespace %s describe "+
			"gateway %s says why", name, gateway.Spec.GatewayClassName, gateway.Namespace, gateway.Name)
	}
	namespaces, err := existingNamespaces(ctx, client, r.Shown)
	if err != nil {
		return err
	}
	for _, shown := range r.Shown {
		namespace := corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: shown, Labels: map[string]string{
			corev1.LabelMetadataName: shown, kube.StackLabel: r.Owner}}}
		if i := slices.IndexFunc(namespaces, func(n corev1.Namespace) bool { return n.Name == shown }); i >= 0 {
			namespace = namespaces[i]
		}
		if len(listeners(gateway, namespace, r.Ingress.Host)) == 0 {
			return fmt.Errorf("no listener of the Gateway %s takes HTTPRoutes of the namespace %s%s: allow them in "+
				"its listeners, for example with allowedRoutes: {namespaces: {from: All}}", name, shown,
				forHost(r.Ingress.Host))
		}
	}
	return r.findsGatewayPods(ctx, client)
}

func forHost(host string) string {
	if host == "" {
		return ""
	}
	return " for " + host
}

// missingGateway says whether the cluster lacks the Gateway, or knows none at all.
func missingGateway(client kubernetes.Interface, name string) error {
	_, err := client.Discovery().ServerResourcesForGroupVersion(gatewayv1.GroupVersion.String())
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("the cluster knows no Gateways, and gateway is %s: install a controller for them, as "+
			"https://gateway-api.sigs.k8s.io/guides/ says; or, for an Ingress, pulumi config rm gateway", name)
	}
	return fmt.Errorf("the cluster has no Gateway %s: kubectl get gateways --all-namespaces lists those that "+
		"it has; for example: pulumi config set gateway kube-system/web", name)
}

// findsGatewayPods fails if the Gateway has pods of its own, and the settings name another namespace.
func (r Requirements) findsGatewayPods(ctx context.Context, client kubernetes.Interface) error {
	gateway := r.Ingress.Gateway
	pods, _, err := podsIn(ctx, client, gateway.Namespace,
		labels.Set{gatewayNameLabel: gateway.Name}.String())
	if err != nil || len(pods) == 0 || r.Ingress.Namespace == gateway.Namespace {
		return err
	}
	return fmt.Errorf("the Gateway's pods (%s) are in %s, and no network policy would let them reach the "+
		"stack's: pulumi config set ingressNamespace %[2]s", pods[0].Name, gateway.Namespace)
}

// known returns the Gateway of the settings with what the cluster says of it.
func (r Requirements) known(gateway *gatewayv1.Gateway) *kube.Gateway {
	if gateway == nil {
		return nil
	}
	known := *r.Ingress.Gateway
	if len(gateway.Status.Addresses) > 0 {
		known.Address = gateway.Status.Addresses[0].Value
	}
	known.HTTPS = slices.ContainsFunc(gateway.Spec.Listeners, func(listener gatewayv1.Listener) bool {
		anyName := listener.Hostname == nil || *listener.Hostname == ""
		return listener.Protocol == gatewayv1.HTTPSProtocolType && serves(listener, r.Ingress.Host) &&
			(anyName || r.Ingress.Host != "")
	})
	return &known
}

// listeners returns the listeners that take a route of the namespace. The host may be empty, for any.
func listeners(gateway *gatewayv1.Gateway, namespace corev1.Namespace,
	host string) (all []gatewayv1.Listener) {
	for _, listener := range gateway.Spec.Listeners {
		if takes(listener, gateway.Namespace, namespace) && serves(listener, host) {
			all = append(all, listener)
		}
	}
	return all
}

// takes reports whether a listener accepts HTTPRoutes of the namespace.
func takes(listener gatewayv1.Listener, gatewayNamespace string, namespace corev1.Namespace) bool {
	from := gatewayv1.NamespacesFromSame
	if routes := listener.AllowedRoutes; routes != nil {
		if len(routes.Kinds) > 0 && !slices.ContainsFunc(routes.Kinds, func(kind gatewayv1.RouteGroupKind) bool {
			return kind.Kind == "HTTPRoute"
		}) {
			return false
		}
		if routes.Namespaces != nil && routes.Namespaces.From != nil {
			from = *routes.Namespaces.From
		}
	}
	switch from {
	case gatewayv1.NamespacesFromAll:
		return true
	case gatewayv1.NamespacesFromSelector:
		selector, err := metav1.LabelSelectorAsSelector(listener.AllowedRoutes.Namespaces.Selector)
		return err == nil && selector.Matches(labels.Set(namespace.Labels))
	}
	return gatewayNamespace == namespace.Name
}

// serves reports whether a listener speaks HTTP for the host; any host if it is empty.
func serves(listener gatewayv1.Listener, host string) bool {
	if listener.Protocol != gatewayv1.HTTPProtocolType && listener.Protocol != gatewayv1.HTTPSProtocolType {
		return false
	}
	if listener.Hostname == nil || *listener.Hostname == "" || host == "" {
		return true
	}
	name := string(*listener.Hostname)
	domain, wild := strings.CutPrefix(name, "*")
	return name == host || wild && strings.HasSuffix(host, domain)
}

package cluster

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const (
	gatewayPath = "/apis/gateway.networking.k8s.io/v1/namespaces/web/gateways/public"
	kindsPath   = "/apis/gateway.networking.k8s.io/v1"
	podsPath    = "/api/v1/namespaces/web/pods"
)

type object = map[string]any

// gatewayWith is an accepted Gateway.
func gatewayWith(listeners ...any) object {
	return object{
		"metadata": object{"namespace": "web", "name": "public"},
		"spec":     object{"gatewayClassName": "envoy", "listeners": listeners},
		"status": object{
			"addresses":  []any{object{"value": "10.0.0.7"}},
			"conditions": []any{object{"type": "Accepted", "status": "True"}},
		},
	}
}

func listener(protocol, host string, routes object) object {
	return object{"name": "a", "protocol": protocol, "hostname": host, "allowedRoutes": routes}
}

func from(namespaces string) object { return object{"namespaces": object{"from": namespaces}} }

func usingGateway(host string) Requirements {
	return Requirements{Owner: "alice.dev", Shown: []string{"exercises", "project"}, Ingress: &kube.Ingress{
		Namespace: "web", Host: host, Gateway: &kube.Gateway{Namespace: "web", Name: "public"}}}
}

// usesGateway returns what keeps the apps from being routes of the Gateway.
func usesGateway(t *testing.T, needed Requirements, client kubernetes.Interface) error {
	t.Helper()
	found, err := needed.findGateway(t.Context(), client)
	return errors.Join(err, needed.takesRoutes(t.Context(), client, found))
}

// An update with a Gateway that takes no route of an app would wait for it in vain.
func TestGatewaysThatLeadNobodyToTheApps(t *testing.T) {
	selected := func(labels object) object {
		return object{"namespaces": object{"from": "Selector", "selector": object{"matchLabels": labels}}}
	}
	none := func(namespace, host string) string {
		return "no listener of the Gateway web/public takes HTTPRoutes of the namespace " + namespace + host + ": "
	}
	for name, test := range map[string]struct {
		host    string
		gateway object
		message string
	}{
		"for all": {"", gatewayWith(listener("HTTP", "", from("All"))), ""},
		"for the stack": {"",
			gatewayWith(listener("HTTP", "", selected(object{kube.StackLabel: "alice.dev"}))), ""},
		"for one that is there": {"", gatewayWith(listener("HTTP", "", selected(object{"team": "shop"}))),
			none("project", "")},
		"for its own":  {"", gatewayWith(listener("HTTP", "", nil)), none("exercises", "")},
		"for the name": {"a.lan", gatewayWith(listener("HTTPS", "*.lan", from("All"))), ""},
		"for another one": {"a.lan", gatewayWith(listener("HTTPS", "b.lan", from("All"))),
			none("exercises", " for a.lan")},
		"for TCP": {"", gatewayWith(listener("TCP", "", from("All"))), none("exercises", "")},
		"for other routes": {"", gatewayWith(listener("HTTP", "", object{
			"kinds": []any{object{"kind": "GRPCRoute"}}, "namespaces": object{"from": "All"}})),
			none("exercises", "")},
		"not accepted": {"", object{"metadata": object{"namespace": "web", "name": "public"},
			"spec": object{"gatewayClassName": "envoy"}},
			"no controller serves the Gateway web/public, of the class envoy: "},
		"not there": {"", nil, "the cluster has no Gateway web/public: "},
	} {
		t.Run(name, func(t *testing.T) {
			answers := map[string]any{kindsPath: object{"kind": "APIResourceList"}, podsPath: object{},
				"/api/v1/namespaces/exercises": object{"metadata": object{"name": "exercises", "labels": object{
					"team": "shop", kube.StackLabel: "alice.dev"}}}}
			if test.gateway != nil {
				answers[gatewayPath] = test.gateway
			}
			err := usesGateway(t, usingGateway(test.host), answering(t, answers))
			if test.message == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.message)
			}
		})
	}
	err := usesGateway(t, usingGateway(""), answering(t, nil))
	require.ErrorContains(t, err, "the cluster knows no Gateways, and gateway is web/public: install ")
}

// Network policies would keep out a Gateway whose pods are elsewhere.
func TestPodsOfAGateway(t *testing.T) {
	client := answering(t, map[string]any{
		gatewayPath: gatewayWith(listener("HTTP", "", from("All"))),
		podsPath:    object{"items": []any{object{"metadata": object{"name": "public-1"}}}},
	})
	needed := usingGateway("")
	require.NoError(t, usesGateway(t, needed, client))
	needed.Ingress.Namespace = "kube-system"
	require.EqualError(t, usesGateway(t, needed, client), "the Gateway's pods (public-1) are in "+
		"web, and no network policy would let them reach the stack's: pulumi config set ingressNamespace web")
}

func TestWhatTheClusterKnowsOfTheGateway(t *testing.T) {
	plain, named := listener("HTTP", "", nil), listener("HTTPS", "a.lan", nil)
	for name, test := range map[string]struct {
		host      string
		listeners []any
		https     bool
	}{
		"plain":                 {"", []any{plain, named}, false},
		"a certificate for it":  {"a.lan", []any{plain, named}, true},
		"one for another":       {"b.lan", []any{plain, named}, false},
		"one for whatever name": {"", []any{listener("HTTPS", "", nil)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			client := answering(t, map[string]any{gatewayPath: gatewayWith(test.listeners...)})
			needed := usingGateway(test.host)
			found, err := needed.findGateway(t.Context(), client)
			require.NoError(t, err)
			require.Equal(t, kube.Gateway{Namespace: "web", Name: "public", Address: "10.0.0.7", HTTPS: test.https},
				*needed.known(found))
		})
	}
}

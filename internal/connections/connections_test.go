package connections_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/internal/connections"
)

const table = "| from | to | port | why |\n|---|---|---|---|\n" +
	"| `app=a,part=x` in `here` | `0.0.0.0/0` but not `10.0.0.0/8`, `127.0.0.0/8`; `fd00::/8` | TCP 443 " +
	"| goes out |\n" +
	"| `app=a` in `here` | `app=b` in `there` | TCP 80, UDP 53 | asks |\n" +
	"| every pod in `others` | `app=a` in `here` | TCP 80 | shows it |\n"

func labelled(labels ...string) *metav1.LabelSelector {
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{}}
	for _, label := range labels {
		name, value, _ := strings.Cut(label, "=")
		selector.MatchLabels[name] = value
	}
	return selector
}

func policy(namespace, name, why string, pods *metav1.LabelSelector,
	spec networkingv1.NetworkPolicySpec) *networkingv1.NetworkPolicy {
	spec.PodSelector = *pods
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name,
		Annotations: map[string]string{"kubernetes.io/description": why}}
	return &networkingv1.NetworkPolicy{ObjectMeta: meta, Spec: spec}
}

func ports(numbers ...int32) (all []networkingv1.NetworkPolicyPort) {
	for _, number := range numbers {
		protocol := corev1.ProtocolTCP
		if number == 53 {
			protocol = corev1.ProtocolUDP
		}
		all = append(all, networkingv1.NetworkPolicyPort{Protocol: &protocol,
			Port: ptr.To(intstr.FromInt32(number))})
	}
	return all
}

func egress(ports []networkingv1.NetworkPolicyPort,
	to ...networkingv1.NetworkPolicyPeer) networkingv1.NetworkPolicySpec {
	return networkingv1.NetworkPolicySpec{Egress: []networkingv1.NetworkPolicyEgressRule{{To: to, Ports: ports}}}
}

func ingress(ports []networkingv1.NetworkPolicyPort,
	from ...networkingv1.NetworkPolicyPeer) networkingv1.NetworkPolicySpec {
	return networkingv1.NetworkPolicySpec{
		Ingress: []networkingv1.NetworkPolicyIngressRule{{From: from, Ports: ports}},
	}
}

func in(namespace string, labels ...string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{
		NamespaceSelector: labelled("kubernetes.io/metadata.name=" + namespace), PodSelector: labelled(labels...),
	}
}

func network(cidr string, except ...string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidr, Except: except}}
}

// examplePolicies returns the policies of the table, in two closed namespaces.
func examplePolicies() []*networkingv1.NetworkPolicy {
	closed := networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"}}
	return []*networkingv1.NetworkPolicy{
		policy("here", "deny", "refuses", labelled(), closed),
		policy("there", "deny", "refuses", labelled(), closed),
		policy("here", "out", "asks", labelled("app=a"), egress(ports(80, 53), in("there", "app=b"))),
		policy("there", "in", "asks", labelled("app=b"), ingress(ports(80, 53), in("here", "app=a"))),
		policy("here", "shown", "shows it", labelled("app=a"), ingress(ports(80), in("others"))),
		policy("here", "far", "goes out", labelled("app=a", "part=x"),
			egress(ports(443), network("0.0.0.0/0", "10.0.0.0/8", "127.0.0.0/8"), network("fd00::/8"))),
	}
}

func TestTableOfPolicies(t *testing.T) {
	all, err := connections.Of(examplePolicies())
	require.NoError(t, err)
	assert.Equal(t, table, connections.Markdown(all))
}

func TestPoliciesThatTheTableCannotShow(t *testing.T) {
	type policies = []*networkingv1.NetworkPolicy
	for message, change := range map[string]func(all policies) policies{
		"network policy out has no counterpart where the connection ends": func(all policies) policies {
			return append(all[:3], all[4:]...)
		},
		"network policy in has no counterpart where the connection starts": func(all policies) policies {
			return append(all[:2], all[3:]...)
		},
		"for the same reason": func(all policies) policies {
			all[3].Annotations["kubernetes.io/description"] = "answers"
			return all
		},
		"network policy far has no annotation": func(all policies) policies {
			all[5].Annotations = nil
			return all
		},
		"network policy far: a rule is for everybody": func(all policies) policies {
			all[5].Spec.Egress[0].To = nil
			return all
		},
		"network policy far: a rule is for every port": func(all policies) policies {
			all[5].Spec.Egress[0].Ports = nil
			return all
		},
		"network policy far: a port is not a number": func(all policies) policies {
			all[5].Spec.Egress[0].Ports[0].EndPort = ptr.To[int32](500)
			return all
		},
		"network policy shown: a peer is neither pods of one namespace nor networks": func(all policies) policies {
			all[4].Spec.Ingress[0].From[0].NamespaceSelector = &metav1.LabelSelector{}
			return all
		},
		"network policy shown: pods are not chosen by": func(all policies) policies {
			all[4].Spec.PodSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "app",
				Operator: "Exists"}}
			return all
		},
	} {
		t.Run(message, func(t *testing.T) {
			_, err := connections.Of(change(examplePolicies()))
			assert.ErrorContains(t, err, message)
		})
	}
}

func TestTableIsReadAsItWasWritten(t *testing.T) {
	tables, err := connections.Parse("# Connections\n\n## First\n\ntext\n\n" + table + "\n## Second\n\nnone\n")
	require.NoError(t, err)
	require.Len(t, tables, 1)
	assert.Equal(t, table, connections.Markdown(tables["First"]))

	out, peers := tables["First"][0], tables["First"][1]
	for address, inside := range map[string]bool{"9.9.9.9": true, "10.1.2.3": false, "127.0.0.1": false,
		"fd00::1": true, "fe80::1": false} {
		assert.Equal(t, inside, out.To.HasAddress(netip.MustParseAddr(address)), address)
	}
	assert.True(t, peers.From.HasPod("here", map[string]string{"app": "a", "more": "x"}))
	assert.False(t, peers.From.HasPod("there", map[string]string{"app": "a"}))
	assert.False(t, peers.From.HasPod("here", map[string]string{"app": "b"}))
	assert.False(t, out.To.HasPod("", nil))
	assert.True(t, tables["First"][2].From.HasPod("others", nil))
}

func TestTableWithFaults(t *testing.T) {
	for _, change := range []struct{ before, after string }{
		{" | shows it |", " |"}, {"TCP 443", "TCP https"}, {"`fd00::/8`", "`fd00`"}, {"app=b", "b"},
	} {
		require.Contains(t, table, change.before)
		_, err := connections.Parse("## First\n\n" + strings.Replace(table, change.before, change.after, 1))
		assert.ErrorContains(t, err, "First: reading ", change.after)
	}
}

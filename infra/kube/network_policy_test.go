package kube_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

func connect(ctx *pulumi.Context) error {
	here, err := kube.NewNamespace(ctx, "here", kube.NamespaceArgs{Name: "here"})
	if err != nil {
		return err
	}
	there, err := kube.NewNamespace(ctx, "there", kube.NamespaceArgs{Name: "there"})
	if err != nil {
		return err
	}
	return kube.Allow(ctx, "a-to-b", kube.Connection{
		From: kube.Pods{Namespace: here, Labels: map[string]string{"app": "a"}},
		To:   kube.Pods{Namespace: there, Labels: map[string]string{"app": "b"}},
		Port: 5432,
		Why:  "asks",
	})
}

func TestConnectionAcrossNamespaces(t *testing.T) {
	recording := recorder.Run(t, connect)
	ports := []networkingv1.NetworkPolicyPort{{Protocol: ptr.To(corev1.ProtocolTCP),
		Port: ptr.To(intstr.FromInt32(5432))}}
	peer := func(namespace, app string) []networkingv1.NetworkPolicyPeer {
		return []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: labelled("kubernetes.io/metadata.name", namespace),
			PodSelector:       labelled("app", app),
		}}
	}

	egress := recorder.Object[*networkingv1.NetworkPolicy](recording, "a-to-b-egress")
	require.Equal(t, "here", egress.Namespace)
	require.Equal(t, networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}},
		PolicyTypes: []networkingv1.PolicyType{"Egress"},
		Egress:      []networkingv1.NetworkPolicyEgressRule{{To: peer("there", "b"), Ports: ports}},
	}, egress.Spec)

	require.Equal(t, "asks", egress.Annotations["kubernetes.io/description"])

	ingress := recorder.Object[*networkingv1.NetworkPolicy](recording, "a-to-b-ingress")
	require.Equal(t, "asks", ingress.Annotations["kubernetes.io/description"])
	require.Equal(t, "there", ingress.Namespace)
	require.Equal(t, networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "b"}},
		PolicyTypes: []networkingv1.PolicyType{"Ingress"},
		Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: peer("here", "a"), Ports: ports}},
	}, ingress.Spec)

	require.Contains(t, recording.Get(t, "kubernetes:networking.k8s.io/v1:NetworkPolicy",
		"a-to-b-egress").DependsOn(), "here")
	require.Contains(t, recording.Get(t, "kubernetes:networking.k8s.io/v1:NetworkPolicy",
		"a-to-b-ingress").DependsOn(), "there")
}

func TestConnectionToNetworks(t *testing.T) {
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		here, err := kube.NewNamespace(ctx, "here", kube.NamespaceArgs{Name: "here"})
		if err != nil {
			return err
		}
		pods := kube.Pods{Namespace: here, Labels: map[string]string{"app": "a"}}
		networks := []kube.Network{{CIDR: "0.0.0.0/0", Except: []string{"10.0.0.0/8"}}, {CIDR: "fd00::/8"}}
		for name, address := range map[string]string{
			"a-outside": "https://outside.example.com/a?b", "a-plain": "http://outside.example.com",
			"a-own": "https://outside.example.com:8443",
		} {
			if err := kube.AllowOutbound(ctx, name,
				kube.Outbound{From: pods, Networks: networks, URL: pulumi.String(address), Why: "goes out"}); err != nil {
				return err
			}
		}
		later := pulumi.String("https://later.example.com:9443").ToStringOutput()
		return kube.AllowOutbound(ctx, "a-later", kube.Outbound{From: pods, Networks: networks, URL: later})
	})
	for name, port := range map[string]int32{"a-plain": 80, "a-own": 8443, "a-later": 9443} {
		ports := recorder.Object[*networkingv1.NetworkPolicy](recording, name+"-egress").Spec.Egress[0].Ports
		require.Equal(t, ptr.To(intstr.FromInt32(port)), ports[0].Port)
	}
	policy := recorder.Object[*networkingv1.NetworkPolicy](recording, "a-outside-egress")
	require.Equal(t, "goes out", policy.Annotations["kubernetes.io/description"])
	require.Equal(t, networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}},
		PolicyTypes: []networkingv1.PolicyType{"Egress"},
		Egress: []networkingv1.NetworkPolicyEgressRule{{
			To: []networkingv1.NetworkPolicyPeer{
				{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{"10.0.0.0/8"}}},
				{IPBlock: &networkingv1.IPBlock{CIDR: "fd00::/8", Except: []string{}}},
			},
			Ports: []networkingv1.NetworkPolicyPort{{Protocol: ptr.To(corev1.ProtocolTCP),
				Port: ptr.To(intstr.FromInt32(443))}},
		}},
	}, policy.Spec)
}

// Pods that may connect to the internet reach no pod, node or machine beside it.
func TestInternetHasNoPrivateAddresses(t *testing.T) {
	for address, inside := range map[string]bool{
		"198.35.26.96": true, "9.255.255.255": true, "11.0.0.0": true, "172.32.0.0": true, "192.167.255.255": true,
		"2620:0:861:ed1a::1": true,
		"10.43.0.1":          false, "10.231.1.2": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false,
		"100.64.0.1":      false, "127.0.0.1": false, "::1": false, "fd00::1": false, "fe80::1": false,
	} {
		found := false
		for _, network := range kube.Internet {
			in := func(cidr string) bool { return netip.MustParsePrefix(cidr).Contains(netip.MustParseAddr(address)) }
			found = found || in(network.CIDR) && !slices.ContainsFunc(network.Except, in)
		}
		require.Equal(t, inside, found, address)
	}
}

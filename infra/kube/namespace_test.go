package kube_test

import (
	"strings"
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

const registryPassword = "push-and-pull"

func exercises(ctx *pulumi.Context) error {
	_, err := exercisesNamespace(ctx)
	return err
}

func exercisesNamespace(ctx *pulumi.Context) (*kube.Namespace, error) {
	return kube.NewNamespace(ctx, "exercises", kube.NamespaceArgs{
		Name: "alice-exercises",
		Login: &kube.RegistryLogin{
			Server: "registry.example.com", Username: "alice", Password: pulumi.String(registryPassword),
		},
	})
}

func labelled(key, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
}

// Nothing of the user's is declared, and no policy selects the user's pods.
func TestSharedNamespaceStaysTheUsers(t *testing.T) {
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		_, err := kube.NewNamespace(ctx, "apps", kube.NamespaceArgs{Name: "apps", Shared: true})
		return err
	})
	require.Len(t, recording.All(), 2)
	for _, policy := range []string{"apps-default-deny", "apps-dns"} {
		require.Equal(t, labelled("app.kubernetes.io/part-of", "stateful-k3s"),
			&recorder.Object[*networkingv1.NetworkPolicy](recording, policy).Spec.PodSelector, policy)
	}
}

func TestNamespaceIsClosedExceptForDNS(t *testing.T) {
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		_, err := kube.NewNamespace(ctx, "exercises", kube.NamespaceArgs{
			Name: "exercises",
			DNSServers: []kube.DNSServer{
				{Namespace: "openshift-dns", Labels: map[string]string{"dns": "default"}, Port: 5353},
				{Network: "169.254.20.10/32", Port: 53},
			},
		})
		return err
	})
	everyPod := metav1.LabelSelector{MatchLabels: map[string]string{}}
	require.Equal(t, networkingv1.NetworkPolicySpec{
		PodSelector: everyPod,
		PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"},
	}, recorder.Object[*networkingv1.NetworkPolicy](recording, "exercises-default-deny").Spec)

	ports := func(number int32) []networkingv1.NetworkPolicyPort {
		return []networkingv1.NetworkPolicyPort{
			{Protocol: ptr.To(corev1.ProtocolUDP), Port: ptr.To(intstr.FromInt32(number))},
			{Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To(intstr.FromInt32(number))},
		}
	}
	pods := networkingv1.NetworkPolicyPeer{
		NamespaceSelector: labelled("kubernetes.io/metadata.name", "openshift-dns"),
		PodSelector:       labelled("dns", "default"),
	}
	network := networkingv1.NetworkPolicyPeer{
		IPBlock: &networkingv1.IPBlock{CIDR: "169.254.20.10/32", Except: []string{}},
	}
	require.Equal(t, networkingv1.NetworkPolicySpec{
		PodSelector: everyPod,
		PolicyTypes: []networkingv1.PolicyType{"Egress"},
		Egress: []networkingv1.NetworkPolicyEgressRule{
			{To: []networkingv1.NetworkPolicyPeer{pods}, Ports: ports(5353)},
			{To: []networkingv1.NetworkPolicyPeer{network}, Ports: ports(53)},
		},
	}, recorder.Object[*networkingv1.NetworkPolicy](recording, "exercises-dns").Spec)
}

func TestNamespaceHoldsTheRegistryLogin(t *testing.T) {
	recording := recorder.Run(t, exercises)

	secret := recorder.Object[*corev1.Secret](recording, "exercises-registry")
	require.Equal(t, corev1.SecretTypeDockerConfigJson, secret.Type)
	require.JSONEq(t, `{"auths": {"registry.example.com": {
		"username": "alice", "password": "push-and-pull", "auth": "YWxpY2U6cHVzaC1hbmQtcHVsbA=="
	}}}`, string(secret.Data[".dockerconfigjson"]))
	recording.RequireSecret(t, registryPassword)
}

func TestWhatIsInANamespaceWaitsForAllOfIt(t *testing.T) {
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		namespace, err := exercisesNamespace(ctx)
		if err != nil {
			return err
		}
		_, err = kube.NewSecret(ctx, "inside", kube.SecretArgs{Namespace: namespace, App: "test", Name: "inside"})
		return err
	})
	for _, policy := range []string{"exercises-default-deny", "exercises-dns"} {
		require.Equal(t, []string{"exercises"},
			recording.Get(t, "kubernetes:networking.k8s.io/v1:NetworkPolicy", policy).DependsOn())
	}
	require.Equal(t, []string{"exercises", "exercises-default-deny", "exercises-dns"},
		recording.Get(t, "kubernetes:core/v1:Secret", "exercises-registry").DependsOn())
	require.Equal(t, []string{"exercises", "exercises-default-deny", "exercises-dns", "exercises-registry"},
		recording.Get(t, "kubernetes:core/v1:Secret", "inside").DependsOn())
}

func TestNamespaceOfAStackWhoseNameIsNoLabel(t *testing.T) {
	long := func(info *pulumi.RunInfo) { info.Organization = strings.Repeat("o", 70) }
	recording := recorder.Run(t, exercises, recorder.RunInfo(long))
	namespace := recorder.Object[*corev1.Namespace](recording, "exercises")
	require.Equal(t, strings.Repeat("o", 50)+"-d2ffa57a", namespace.Labels[kube.StackLabel])
	require.Equal(t, strings.Repeat("o", 70)+".dev", namespace.Annotations[kube.StackLabel],
		"make purge finds it by this")
}

func TestStacksOfTwoProgramsAreNotEachOther(t *testing.T) {
	other := func(info *pulumi.RunInfo) { info.Project = "shop" }
	recording := recorder.Run(t, exercises, recorder.RunInfo(other))
	namespace := recorder.Object[*corev1.Namespace](recording, "exercises")
	require.Equal(t, "organization.shop.dev", namespace.Labels[kube.StackLabel])
}

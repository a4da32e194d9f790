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

// meta is what every object in the namespace alice-exercises has.
func meta(app, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:      name,
		Namespace: "alice-exercises",
		Labels: map[string]string{
			"app.kubernetes.io/name":       app,
			"app.kubernetes.io/part-of":    "stateful-k3s",
			"app.kubernetes.io/managed-by": "pulumi",
		},
		Annotations: map[string]string{"pulumi.com/patchFieldManager": "stateful-k3s",
			"pulumi.com/patchForce": "true"},
	}
}

func policyMeta(name, why string) metav1.ObjectMeta {
	m := meta("network", name)
	m.Annotations["kubernetes.io/description"] = why
	return m
}

func TestNamespace(t *testing.T) {
	for name, options := range map[string][]recorder.Option{"update": nil, "preview": {recorder.Preview()}} {
		t.Run(name, func(t *testing.T) {
			recording := recorder.Run(t, exercises, options...)

			require.Equal(t, []string{
				"exercises kubernetes:core/v1:Namespace",
				"exercises-default-deny kubernetes:networking.k8s.io/v1:NetworkPolicy",
				"exercises-dns kubernetes:networking.k8s.io/v1:NetworkPolicy",
				"exercises-registry kubernetes:core/v1:Secret",
			}, recording.Names())

			namespace := recording.Get(t, "kubernetes:core/v1:Namespace", "exercises")
			require.True(t, namespace.Request.GetRetainOnDelete())
			require.Equal(t, metav1.ObjectMeta{
				Name: "alice-exercises",
				Labels: map[string]string{
					"app.kubernetes.io/name":                     "exercises",
					"app.kubernetes.io/part-of":                  "stateful-k3s",
					"app.kubernetes.io/managed-by":               "pulumi",
					"stateful-k3s/stack":                         "organization.dev",
					"pod-security.kubernetes.io/enforce":         "restricted",
					"pod-security.kubernetes.io/enforce-version": "v1.35",
					"pod-security.kubernetes.io/audit":           "restricted",
					"pod-security.kubernetes.io/audit-version":   "latest",
					"pod-security.kubernetes.io/warn":            "restricted",
					"pod-security.kubernetes.io/warn-version":    "latest",
				},
				Annotations: map[string]string{
					"pulumi.com/patchFieldManager": "stateful-k3s.organization.dev",
					"pulumi.com/patchForce":        "true",
					"stateful-k3s/stack":           "organization.dev",
				},
			}, recorder.Object[*corev1.Namespace](recording, "exercises").ObjectMeta)
		})
	}
}

func TestNamespaceIsClosedButForDNS(t *testing.T) {
	recording := recorder.Run(t, exercises)

	deny := recorder.Object[*networkingv1.NetworkPolicy](recording, "exercises-default-deny")
	require.Equal(t, policyMeta("exercises-default-deny", "refuses what no other policy allows"),
		deny.ObjectMeta)
	require.Equal(t, networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{}}, // every pod
		PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"},
	}, deny.Spec)

	dns := recorder.Object[*networkingv1.NetworkPolicy](recording, "exercises-dns")
	require.Equal(t, policyMeta("exercises-dns", "looks up names"), dns.ObjectMeta)
	require.Equal(t, networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{}},
		PolicyTypes: []networkingv1.PolicyType{"Egress"},
		Egress: []networkingv1.NetworkPolicyEgressRule{{
			To: []networkingv1.NetworkPolicyPeer{{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "kube-system"}},
				PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"k8s-app": "kube-dns"}},
			}},
			Ports: []networkingv1.NetworkPolicyPort{
				{Protocol: ptr.To(corev1.ProtocolUDP), Port: ptr.To(intstr.FromInt32(53))},
				{Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To(intstr.FromInt32(53))},
			},
		}},
	}, dns.Spec)
}

func TestNamespaceWithOtherDNS(t *testing.T) {
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		_, err := kube.NewNamespace(ctx, "exercises",
			kube.NamespaceArgs{Name: "exercises", DNSServers: []kube.DNSServer{
				{Namespace: "openshift-dns", Labels: map[string]string{"dns": "default"}, Port: 5353},
				{Network: "169.254.20.10/32", Port: 53},
			}})
		return err
	})
	ports := func(number int32) []networkingv1.NetworkPolicyPort {
		return []networkingv1.NetworkPolicyPort{
			{Protocol: ptr.To(corev1.ProtocolUDP), Port: ptr.To(intstr.FromInt32(number))},
			{Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To(intstr.FromInt32(number))},
		}
	}
	require.Equal(t, []networkingv1.NetworkPolicyEgressRule{
		{To: []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "openshift-dns"}},
			PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"dns": "default"}},
		}}, Ports: ports(5353)},
		{To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "169.254.20.10/32",
			Except: []string{}}}}, Ports: ports(53)},
	}, recorder.Object[*networkingv1.NetworkPolicy](recording, "exercises-dns").Spec.Egress)
}

func TestNamespaceHoldsTheRegistryLogin(t *testing.T) {
	recording := recorder.Run(t, exercises)

	secret := recorder.Object[*corev1.Secret](recording, "exercises-registry")
	require.Equal(t, meta("registry", "registry"), secret.ObjectMeta)
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
		"by which make purge finds it")
}

func TestNamespaceErrors(t *testing.T) {
	recorder.RequireErrors(t, exercises, map[string]string{
		"exercises":              "declaring namespace alice-exercises: ",
		"exercises-default-deny": "declaring network policy exercises-default-deny: ",
		"exercises-dns":          "declaring network policy exercises-dns: ",
		"exercises-registry":     "declaring secret registry: ",
	})
	_, err := recorder.Try(t, func(ctx *pulumi.Context) error {
		_, err := kube.NewNamespace(ctx, "exercises", kube.NamespaceArgs{})
		return err
	})
	require.ErrorContains(t, err, "namespace exercises: Name is required")
}

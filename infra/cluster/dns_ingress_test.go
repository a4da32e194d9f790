package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

var (
	classes = []runtime.Object{storageClass("local-path"), ingressClass("traefik")}
	dnsPod  = systemPod("coredns", "k8s-app", "kube-dns", false)
)

// checked returns what the requirements say of a cluster with only these objects, and classes.
func checked(t *testing.T, requirements Requirements, objects ...runtime.Object) error {
	t.Helper()
	client := newCluster(nil, classes...)
	require.NoError(t, client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), "kube-system",
		"coredns"))
	for _, object := range objects {
		require.NoError(t, client.Tracker().Add(object))
	}
	return requirements.Check(t.Context(), client, nil)
}

func TestDNSThatNoPolicyAllows(t *testing.T) {
	const (
		nothing = `the cluster has none of the pods that dnsServers names, and no network policy would let the ` +
			`stack's pods ask others for names: say where they look them up; for example: pulumi config set ` +
			`dnsServers openshift-dns/dns.operator.openshift.io/daemonset-dns=default:5353 on OpenShift, or an ` +
			`address that is in /etc/resolv.conf of pods, such as 169.254.169.254/32`
		cached = `pods look up names in a cache on their node (node-local-dns-1 in kube-system), which no ` +
			`network policy would let the stack's pods ask; for example: pulumi config set dnsServers `
	)
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "kube-dns", Namespace: "kube-system"},
		Spec:       corev1.ServiceSpec{ClusterIP: "10.43.0.10"},
	}
	onHost := systemPod("node-local-dns-1", "k8s-app", "node-local-dns", true)
	apart := systemPod("node-local-dns-1", "k8s-app", "node-local-dns", false)
	pods := func(namespace, key, value string) kube.DNSServer {
		return kube.DNSServer{Namespace: namespace, Labels: map[string]string{key: value}, Port: 53}
	}
	usual, address := kube.ClusterDNS[0], kube.DNSServer{Network: "169.254.20.10/32", Port: 53}
	type servers = []kube.DNSServer
	type objects = []runtime.Object
	for name, test := range map[string]struct {
		servers servers
		objects objects
		message string
	}{
		"the usual":              {servers{usual}, objects{dnsPod}, ""},
		"no pods":                {servers{usual}, nil, nothing},
		"pods of one of two":     {servers{pods("openshift-dns", "dns", "default"), usual}, objects{dnsPod}, ""},
		"an address and no pods": {servers{address}, nil, ""},
		"a cache on the host": {servers{usual}, objects{dnsPod, onHost},
			cached + `"kube-system/k8s-app=kube-dns 169.254.20.10/32"`},
		"a cache at the Service's address": {servers{usual}, objects{dnsPod, onHost, service},
			cached + `"kube-system/k8s-app=kube-dns 169.254.20.10/32 10.43.0.10/32"`},
		"a cache with its address": {servers{usual, address}, objects{dnsPod, onHost}, ""},
		"a cache in pods": {servers{usual}, objects{dnsPod, apart},
			cached + `"kube-system/k8s-app=kube-dns kube-system/k8s-app=node-local-dns"`},
		"a cache in pods that are named": {servers{usual, pods("kube-system", "k8s-app", "node-local-dns")},
			objects{dnsPod, apart}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			requirements := requirements
			requirements.DNSServers = test.servers
			if err := checked(t, requirements, test.objects...); test.message == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, test.message)
			}
		})
	}
}

func TestAnIngressControllerThatNoPolicyAllows(t *testing.T) {
	const refused = `the ingress controller (rke2-traefik-1 in kube-system) is on its node's network, and no ` +
		`network policy would let it reach the stack's pods: name the addresses that it connects from; ` +
		`for example: pulumi config set ingressNetworks `
	controller := systemPod("rke2-traefik-1", "app.kubernetes.io/name", "rke2-traefik", true)
	node := func(name, address, pods string) *corev1.Node {
		return &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDRs: []string{pods}},
			Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: address}, {Type: corev1.NodeHostName, Address: name},
			}},
		}
	}
	nodes := []runtime.Object{dnsPod, controller, node("a", "10.0.0.4", "10.42.0.0/24"),
		node("b", "fd00::5", "fd42::/64")}
	require.EqualError(t, checked(t, requirements, nodes...), refused+
		`"10.0.0.4/32 10.42.0.0/31 fd00::5/128 fd42::/127"`)

	named := requirements
	named.Ingress = &kube.Ingress{
		Class: "traefik", Namespace: "kube-system", Networks: []kube.Network{{CIDR: "10.0.0.0/16"}},
	}
	require.NoError(t, checked(t, named, nodes...))
	require.NoError(t, checked(t, requirements, dnsPod,
		systemPod("traefik-1", "app.kubernetes.io/name", "traefik", false)), "a pod like others")
	require.NoError(t, checked(t, requirements, dnsPod,
		systemPod("kube-proxy-1", "k8s-app", "kube-proxy", true)),
		"no controller")

	client := fake.NewClientset(controller)
	client.PrependReactor("list", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, "", nil)
	})
	require.EqualError(t, requirements.letsIngressIn(t.Context(), client, nil), refused+`"10.0.0.4/32"`)
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// nodeCache selects the pods of NodeLocal DNSCache, and nodeCacheAddress is their default address.
// Source: https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns
const (
	nodeCache        = "k8s-app in (node-local-dns, nodelocaldns)"
	nodeCacheAddress = "169.254.20.10/32"
)

// findsDNS fails if the stack's network policies would let pods reach no DNS server.
func (r Requirements) findsDNS(ctx context.Context, client kubernetes.Interface) error {
	isPods := func(server kube.DNSServer) bool { return server.Network == "" }
	if slices.ContainsFunc(r.DNSServers, func(server kube.DNSServer) bool { return !isPods(server) }) {
		return nil // only pods can tell whether an address answers
	}
	found := false
	for _, server := range r.DNSServers {
		pods, allowed, err := podsIn(ctx, client, server.Namespace, labels.Set(server.Labels).String())
		if err != nil || !allowed {
			return err
		}
		found = found || len(pods) > 0
	}
	if !found {
		return errors.New("the cluster has none of the pods that dnsServers names, and no network policy would " +
			"let the stack's pods ask others for names: say where they look them up; for example: pulumi config set " +
			"dnsServers openshift-dns/dns.operator.openshift.io/daemonset-dns=default:5353 on OpenShift, or an " +
			"address that is in /etc/resolv.conf of pods, such as 169.254.169.254/32")
	}
	return r.findsDNSCache(ctx, client)
}

// findsDNSCache fails if nodes have a DNS cache that answers pods, and the DNS servers of the settings do not
// include it.
func (r Requirements) findsDNSCache(ctx context.Context, client kubernetes.Interface) error {
	caches, _, err := podsIn(ctx, client, metav1.NamespaceSystem, nodeCache)
	if err != nil || len(caches) == 0 {
		return err
	}
	cache := caches[0]
	var servers []string
	for _, server := range r.DNSServers {
		ofServer := labels.SelectorFromSet(server.Labels)
		if server.Namespace == cache.Namespace && ofServer.Matches(labels.Set(cache.Labels)) &&
			!cache.Spec.HostNetwork {
			return nil
		}
		servers = append(servers, server.String())
	}
	if cache.Spec.HostNetwork {
		servers = append(servers, nodeCacheAddress)
		// It may also answer at the Service's address.
		if service, err := client.CoreV1().Services(cache.Namespace).Get(ctx, "kube-dns",
			metav1.GetOptions{}); err == nil {
			servers = append(servers, single(service.Spec.ClusterIP)...)
		}
	} else {
		servers = append(servers, cache.Namespace+"/k8s-app="+cache.Labels["k8s-app"])
	}
	return fmt.Errorf("pods look up names in a cache on their node (%s in %s), which no network policy would "+
		"let the stack's pods ask; for example: pulumi config set dnsServers %q", cache.Name, cache.Namespace,
		strings.Join(servers, " "))
}

// letsIngressIn fails if the ingress controller is on its nodes' network and the settings do not name its
// addresses: network policies that select its pods do not match them.
func (r Requirements) letsIngressIn(ctx context.Context, client kubernetes.Interface,
	gateway *gatewayv1.Gateway) error {
	if r.Ingress == nil || r.Ingress.Networks != nil {
		return nil
	}
	class := r.Ingress.Class
	if r.usesGateway() {
		if gateway == nil {
			return nil
		}
		class = string(gateway.Spec.GatewayClassName)
	}
	pods, _, err := podsIn(ctx, client, r.Ingress.Namespace, "")
	if err != nil {
		return err
	}
	isController := func(label string) bool { return strings.Contains(label, class) }
	onHost := slices.IndexFunc(pods, func(pod corev1.Pod) bool {
		return pod.Spec.HostNetwork && slices.ContainsFunc(slices.Collect(maps.Values(pod.Labels)), isController)
	})
	if onHost < 0 {
		return nil
	}
	return fmt.Errorf("the ingress controller (%s in %s) is on its node's network, and no network policy would "+
		"let it reach the stack's pods: name the addresses that it connects from; for example: pulumi config set "+
		"ingressNetworks %q",
		pods[onHost].Name, r.Ingress.Namespace, strings.Join(nodeAddresses(ctx, client, pods[onHost]), " "))
}

// nodeAddresses returns the addresses that programs on the nodes' network connect to pods from: the nodes'
// own, and the first two of each node's range for pods, which most network plugins give to the node. Users
// who may not list nodes get the address of the pod's node.
func nodeAddresses(ctx context.Context, client kubernetes.Interface, pod corev1.Pod) (networks []string) {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return single(pod.Status.HostIP)
	}
	for _, node := range nodes.Items {
		for _, address := range node.Status.Addresses {
			if address.Type == corev1.NodeInternalIP {
				networks = append(networks, single(address.Address)...)
			}
		}
		for _, cidr := range node.Spec.PodCIDRs {
			if pods, err := netip.ParsePrefix(cidr); err == nil {
				networks = append(networks, netip.PrefixFrom(pods.Addr(), pods.Addr().BitLen()-1).String())
			}
		}
	}
	return networks
}

// single returns the network of one address, or nothing if the text is no address.
func single(address string) []string {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return nil
	}
	return []string{netip.PrefixFrom(parsed, parsed.BitLen()).String()}
}

// podsIn returns the namespace's pods, and whether the user may list them.
func podsIn(ctx context.Context, client kubernetes.Interface, namespace, selector string) (
	pods []corev1.Pod, allowed bool, err error) {
	list, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, false, unlessForbidden(err, "pods in "+namespace)
	}
	return list.Items, true, nil
}

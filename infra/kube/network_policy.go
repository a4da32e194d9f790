package kube

import (
	"fmt"
	"net/url"
	"strconv"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/labels"
)

// descriptionAnnotation says why a network policy exists.
// Source: https://kubernetes.io/docs/reference/labels-annotations-taints/#description
const descriptionAnnotation = "kubernetes.io/description"

// Pods selects pods of one namespace by their labels.
type Pods struct {
	Namespace *Namespace
	Labels    map[string]string
}

// Connection lets the pods From open TCP connections to Port of the pods To, and says why.
type Connection struct {
	From, To Pods
	Port     int
	Why      string
}

// Allow declares both policies that a connection needs: egress for From, ingress for To.
func Allow(ctx *pulumi.Context, name string, c Connection, opts ...pulumi.ResourceOption) error {
	peers := networkingv1.NetworkPolicyPeerArray{c.To.peer()}
	if err := allowTo(ctx, name, c.From, peers, pulumi.Int(c.Port), c.Why, opts...); err != nil {
		return err
	}
	return AllowFrom(ctx, name, c, opts...)
}

// AllowClients declares the policies of a connection from pods of users. In a namespace that is not the
// stack's, such pods may connect anywhere, until a policy selects them. So they get none there.
func AllowClients(ctx *pulumi.Context, name string, c Connection, opts ...pulumi.ResourceOption) error {
	if c.From.Namespace.own {
		return Allow(ctx, name, c, opts...)
	}
	return AllowFrom(ctx, name, c, opts...)
}

// AllowFrom declares the ingress policy of a connection alone, for clients in namespaces of others.
func AllowFrom(ctx *pulumi.Context, name string, c Connection, opts ...pulumi.ResourceOption) error {
	return allowFrom(ctx, name, networkingv1.NetworkPolicyPeerArray{c.From.peer()}, c.To, c.Port, c.Why, opts...)
}

func allowFrom(ctx *pulumi.Context, name string, from networkingv1.NetworkPolicyPeerArray, to Pods,
	number int, why string, opts ...pulumi.ResourceOption) error {
	_, err := newPolicy(ctx, name+"-ingress", to, why, networkingv1.NetworkPolicySpecArgs{
		PolicyTypes: pulumi.ToStringArray([]string{"Ingress"}),
		Ingress: networkingv1.NetworkPolicyIngressRuleArray{networkingv1.NetworkPolicyIngressRuleArgs{
			From:  from,
			Ports: networkingv1.NetworkPolicyPortArray{port("TCP", pulumi.Int(number))},
		}},
	}, append(opts, to.Namespace.Ready())...)
	return err
}

// Network is a range of addresses in CIDR notation, without the ranges in Except.
type Network struct {
	CIDR   string
	Except []string
}

// Internet is all addresses except private, shared, link-local and loopback ones.
// Source: https://www.iana.org/assignments/iana-ipv4-special-registry and its counterpart for IPv6
var Internet = []Network{
	{"0.0.0.0/0", []string{"10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
		"192.168.0.0/16"}},
	{"::/0", []string{"::1/128", "fc00::/7", "fe80::/10"}},
}

// Outbound lets the pods From open TCP connections to the port of an http or https URL at addresses in
// Networks, outside of the cluster, and says why.
type Outbound struct {
	From     Pods
	Networks []Network
	URL      pulumi.StringInput
	Why      string
}

// AllowOutbound declares the policy for o.
func AllowOutbound(ctx *pulumi.Context, name string, o Outbound, opts ...pulumi.ResourceOption) error {
	var number pulumi.IntInput
	if url, plain := o.URL.(pulumi.String); plain {
		known, err := urlPort(string(url))
		if err != nil {
			return fmt.Errorf("reading the port of %q: %w", url, err)
		}
		number = pulumi.Int(known)
	} else {
		number = o.URL.ToStringOutput().ApplyT(urlPort).(pulumi.IntOutput)
	}
	return allowTo(ctx, name, o.From, peersIn(o.Networks), number, o.Why, opts...)
}

func peersIn(networks []Network) networkingv1.NetworkPolicyPeerArray {
	peers := networkingv1.NetworkPolicyPeerArray{}
	for _, network := range networks {
		peers = append(peers, networkingv1.NetworkPolicyPeerArgs{IpBlock: networkingv1.IPBlockArgs{
			Cidr: pulumi.String(network.CIDR), Except: pulumi.ToStringArray(network.Except),
		}})
	}
	return peers
}

func allowTo(ctx *pulumi.Context, name string, from Pods, to networkingv1.NetworkPolicyPeerArray,
	number pulumi.IntInput, why string, opts ...pulumi.ResourceOption) error {
	_, err := newPolicy(ctx, name+"-egress", from, why, networkingv1.NetworkPolicySpecArgs{
		PolicyTypes: pulumi.ToStringArray([]string{"Egress"}),
		Egress: networkingv1.NetworkPolicyEgressRuleArray{networkingv1.NetworkPolicyEgressRuleArgs{
			To:    to,
			Ports: networkingv1.NetworkPolicyPortArray{port("TCP", number)},
		}},
	}, append(opts, from.Namespace.Ready())...)
	return err
}

// DNSServer answers the pods' DNS queries. It is either the pods with Labels in Namespace, or a Network.
type DNSServer struct {
	Namespace string
	Labels    map[string]string
	Network   string
	Port      int
}

// ClusterDNS is the DNS server of most clusters.
var ClusterDNS = []DNSServer{{Namespace: "kube-system", Labels: map[string]string{"k8s-app": "kube-dns"},
	Port: 53}}

// String returns pods as NAMESPACE/LABEL=VALUE, with :PORT unless it is 53, and a network in CIDR notation.
func (d DNSServer) String() string {
	if d.Network != "" {
		return d.Network
	}
	text := d.Namespace + "/" + labels.Set(d.Labels).String()
	if d.Port != 53 {
		text += fmt.Sprintf(":%d", d.Port)
	}
	return text
}

func (d DNSServer) rule() networkingv1.NetworkPolicyEgressRuleArgs {
	peers := peersIn([]Network{{CIDR: d.Network}})
	if d.Network == "" {
		peers = networkingv1.NetworkPolicyPeerArray{Pods{Namespace: &Namespace{Name: d.Namespace},
			Labels: d.Labels}.peer()}
	}
	number := pulumi.Int(d.Port)
	return networkingv1.NetworkPolicyEgressRuleArgs{
		To:    peers,
		Ports: networkingv1.NetworkPolicyPortArray{port("UDP", number), port("TCP", number)},
	}
}

// basePolicies deny all connections of the stack's pods in a namespace except to the DNS servers.
func basePolicies(ctx *pulumi.Context, name string, n *Namespace, servers []DNSServer,
	opts ...pulumi.ResourceOption) ([]pulumi.Resource, error) {
	everyPod := Pods{Namespace: n, Labels: n.pods}
	deny, err := newPolicy(ctx, name+"-default-deny", everyPod, "refuses what no other policy allows",
		networkingv1.NetworkPolicySpecArgs{
			PolicyTypes: pulumi.ToStringArray([]string{"Ingress", "Egress"}),
		}, opts...)
	if err != nil {
		return nil, err
	}
	rules := networkingv1.NetworkPolicyEgressRuleArray{}
	for _, server := range servers {
		rules = append(rules, server.rule())
	}
	dns, err := newPolicy(ctx, name+"-dns", everyPod, "looks up names", networkingv1.NetworkPolicySpecArgs{
		PolicyTypes: pulumi.ToStringArray([]string{"Egress"}),
		Egress:      rules,
	}, opts...)
	if err != nil {
		return nil, err
	}
	return []pulumi.Resource{deny, dns}, nil
}

func newPolicy(ctx *pulumi.Context, name string, pods Pods, why string,
	spec networkingv1.NetworkPolicySpecArgs, opts ...pulumi.ResourceOption) (*networkingv1.NetworkPolicy,
	error) {
	spec.PodSelector = pods.selector()
	meta := pods.Namespace.Meta("network", name, nil)
	Annotate(meta, descriptionAnnotation, why)
	policy, err := networkingv1.NewNetworkPolicy(ctx, name, &networkingv1.NetworkPolicyArgs{
		Metadata: meta,
		Spec:     spec,
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("declaring network policy %s: %w", name, err)
	}
	return policy, nil
}

func (p Pods) selector() metav1.LabelSelectorArgs {
	return metav1.LabelSelectorArgs{MatchLabels: pulumi.ToStringMap(p.Labels)}
}

func (p Pods) peer() networkingv1.NetworkPolicyPeerArgs {
	return networkingv1.NetworkPolicyPeerArgs{
		NamespaceSelector: metav1.LabelSelectorArgs{
			MatchLabels: pulumi.StringMap{"kubernetes.io/metadata.name": pulumi.String(p.Namespace.Name)},
		},
		PodSelector: p.selector(),
	}
}

func urlPort(address string) (int, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return 0, err
	}
	switch {
	case parsed.Port() != "":
		return strconv.Atoi(parsed.Port())
	case parsed.Scheme == "http":
		return 80, nil
	}
	return 443, nil
}

func port(protocol string, number pulumi.IntInput) networkingv1.NetworkPolicyPortArgs {
	return networkingv1.NetworkPolicyPortArgs{Protocol: pulumi.String(protocol), Port: number}
}

// Package connections makes a table of allowed connections from network policies, and writes and reads it as
// Markdown.
package connections

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const (
	reason        = "kubernetes.io/description"
	namespaceName = "kubernetes.io/metadata.name"
)

// Connection says that From may connect to the ports of To, and why.
type Connection struct {
	From, To Peer
	Ports    []Port
	Why      string
}

// Port is a port and its protocol.
type Port struct {
	Protocol corev1.Protocol
	Number   int32
}

// Peer is pods of a namespace, or networks.
type Peer struct {
	Namespace string
	// Labels select the pods; empty ones select all.
	Labels   labels.Set
	Networks []Network
}

// Network is a range of addresses without the ranges in Except.
type Network struct {
	CIDR   netip.Prefix
	Except []netip.Prefix
}

// HasPod reports whether the peer includes a pod by its namespace and labels.
func (p Peer) HasPod(namespace string, of map[string]string) bool {
	return p.Namespace == namespace && p.Namespace != "" && p.Labels.AsSelector().Matches(labels.Set(of))
}

// HasAddress reports whether the networks include an address.
func (p Peer) HasAddress(address netip.Addr) bool {
	return slices.ContainsFunc(p.Networks, func(n Network) bool {
		return n.CIDR.Contains(address) &&
			!slices.ContainsFunc(n.Except, func(e netip.Prefix) bool { return e.Contains(address) })
	})
}

// half is a connection as the policy at one of its ends allows it.
type half struct {
	Connection
	policy string
}

// Of returns what the policies allow, sorted. It refuses policies that the table cannot show: of other
// shapes, without a reason, or without a counterpart at the other end of a connection between closed
// namespaces.
func Of(policies []*networkingv1.NetworkPolicy) ([]Connection, error) {
	out, in := map[string]half{}, map[string]half{}
	closed := map[string]bool{}
	for _, policy := range policies {
		if policy.Annotations[reason] == "" {
			return nil, fmt.Errorf("network policy %s has no annotation %s, which says why it is there", policy.Name,
				reason)
		}
		if len(policy.Spec.PodSelector.MatchLabels) == 0 && len(policy.Spec.PolicyTypes) == 2 {
			closed[policy.Namespace] = true
		}
		if err := addHalves(policy, out, in); err != nil {
			return nil, fmt.Errorf("network policy %s: %w", policy.Name, err)
		}
	}
	all := map[string]Connection{}
	for _, side := range []struct {
		halves, others map[string]half
		farEnd         func(Connection) Peer
		place          string
	}{
		{out, in, func(c Connection) Peer { return c.To }, "ends"},
		{in, out, func(c Connection) Peer { return c.From }, "starts"},
	} {
		for key, h := range side.halves {
			if other, found := side.others[key]; closed[side.farEnd(h.Connection).Namespace] &&
				(!found || other.Why != h.Why) {
				return nil, fmt.Errorf("network policy %s has no counterpart where the connection %s, "+
					"for the same reason", h.policy, side.place)
			}
			all[key] = h.Connection
		}
	}
	return sorted(all), nil
}

func addHalves(policy *networkingv1.NetworkPolicy, out, in map[string]half) error {
	own, err := podsOf(policy.Namespace, &policy.Spec.PodSelector)
	if err != nil {
		return err
	}
	for _, rule := range policy.Spec.Egress {
		peers, ports, err := parseRule(rule.To, rule.Ports)
		if err != nil {
			return err
		}
		for _, peer := range peers {
			c := Connection{From: own, To: peer, Ports: ports, Why: policy.Annotations[reason]}
			out[c.key()] = half{c, policy.Name}
		}
	}
	for _, rule := range policy.Spec.Ingress {
		peers, ports, err := parseRule(rule.From, rule.Ports)
		if err != nil {
			return err
		}
		for _, peer := range peers {
			c := Connection{From: peer, To: own, Ports: ports, Why: policy.Annotations[reason]}
			in[c.key()] = half{c, policy.Name}
		}
	}
	return nil
}

// parseRule returns the peers and ports of a rule. All its networks are one peer.
func parseRule(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) (
	all []Peer, numbers []Port, err error) {
	if len(peers) == 0 {
		return nil, nil, errors.New("a rule is for everybody")
	}
	var networks []Network
	for _, peer := range peers {
		switch {
		case peer.IPBlock != nil:
			network, err := networkOf(peer.IPBlock)
			if err != nil {
				return nil, nil, err
			}
			networks = append(networks, network)
		case peer.PodSelector != nil && peer.NamespaceSelector != nil &&
			len(peer.NamespaceSelector.MatchLabels) == 1 && len(peer.NamespaceSelector.MatchExpressions) == 0:
			pods, err := podsOf(peer.NamespaceSelector.MatchLabels[namespaceName], peer.PodSelector)
			if err != nil {
				return nil, nil, err
			}
			all = append(all, pods)
		default:
			return nil, nil, errors.New("a peer is neither pods of one namespace nor networks")
		}
	}
	if networks != nil {
		all = append(all, Peer{Networks: networks})
	}
	numbers, err = portsOf(ports)
	return all, numbers, err
}

func podsOf(namespace string, selector *metav1.LabelSelector) (Peer, error) {
	if namespace == "" || len(selector.MatchExpressions) > 0 {
		return Peer{}, errors.New("pods are not chosen by the name of their namespace and by labels")
	}
	return Peer{Namespace: namespace, Labels: selector.MatchLabels}, nil
}

func networkOf(block *networkingv1.IPBlock) (Network, error) {
	cidr, err := netip.ParsePrefix(block.CIDR)
	if err != nil {
		return Network{}, err
	}
	network := Network{CIDR: cidr}
	for _, text := range block.Except {
		except, err := netip.ParsePrefix(text)
		if err != nil {
			return Network{}, err
		}
		network.Except = append(network.Except, except)
	}
	return network, nil
}

func portsOf(ports []networkingv1.NetworkPolicyPort) ([]Port, error) {
	var all []Port
	for _, port := range ports {
		if port.Protocol == nil || port.Port == nil || port.Port.IntValue() == 0 || port.EndPort != nil {
			return nil, errors.New("a port is not a number with its protocol")
		}
		all = append(all, Port{*port.Protocol, port.Port.IntVal})
	}
	if all == nil {
		return nil, errors.New("a rule is for every port")
	}
	return all, nil
}

func sorted(all map[string]Connection) []Connection {
	connections := make([]Connection, 0, len(all))
	for _, c := range all {
		connections = append(connections, c)
	}
	// Connections of every pod come last.
	slices.SortFunc(connections, func(a, b Connection) int {
		return cmp.Or(cmp.Compare(a.From.Namespace, b.From.Namespace),
			cmp.Compare(len(b.From.Labels), len(a.From.Labels)), strings.Compare(a.key(), b.key()))
	})
	return connections
}

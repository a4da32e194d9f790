package kube

import (
	"errors"
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// podSecurityVersion is the version of Pod Security that pods have to satisfy: a newer cluster warns of what
// it would add, and an older one takes its own. Source:
// https://kubernetes.io/docs/concepts/security/pod-security-admission/
const podSecurityVersion = "v1.35"

// NamespaceArgs describes a namespace.
type NamespaceArgs struct {
	// Name is the name in the cluster.
	Name string
	// DNSServers are where its pods look up names; nil for ClusterDNS.
	DNSServers []DNSServer
	// Login lets its pods pull images; nil where the registry asks for none.
	Login *RegistryLogin
}

// Namespace is a place for pods: nothing in it may connect to anything but DNS, until Allow says so.
type Namespace struct {
	// Name is the name in the cluster.
	Name string

	login bool
	parts []pulumi.Resource
}

// NewNamespace declares a namespace with its network policies. Deleting it from the stack keeps it, and so
// its volumes.
func NewNamespace(ctx *pulumi.Context, name string, args NamespaceArgs,
	opts ...pulumi.ResourceOption) (*Namespace, error) {
	if args.Name == "" {
		return nil, errors.New("namespace " + name + ": Name is required")
	}
	owner := Owner(ctx)
	labels := map[string]string{StackLabel: owner}
	for mode, version := range map[string]string{"enforce": podSecurityVersion, "audit": "latest",
		"warn": "latest"} {
		labels["pod-security.kubernetes.io/"+mode] = "restricted"
		labels["pod-security.kubernetes.io/"+mode+"-version"] = version
	}
	meta := objectMeta(args.Name, name, FieldManager+"."+owner, labels)
	annotate(meta, StackLabel, stackName(ctx))
	namespace, err := corev1.NewNamespace(ctx, name, &corev1.NamespaceArgs{Metadata: meta},
		append(opts, pulumi.RetainOnDelete(true))...)
	if err != nil {
		return nil, fmt.Errorf("declaring namespace %s: %w", args.Name, err)
	}

	n := &Namespace{Name: args.Name, login: args.Login != nil, parts: []pulumi.Resource{namespace}}
	inside := append(opts, pulumi.DependsOn(n.parts))
	servers := args.DNSServers
	if servers == nil {
		servers = ClusterDNS
	}
	policies, err := basePolicies(ctx, name, n, servers, inside...)
	if err != nil {
		return nil, err
	}
	n.parts = append(n.parts, policies...)
	if args.Login != nil {
		secret, err := newLoginSecret(ctx, name, n, args.Login, inside...)
		if err != nil {
			return nil, err
		}
		n.parts = append(n.parts, secret)
	}
	return n, nil
}

// TakeOver returns the command that gives the namespace of another stack, or of none, to the stack of that
// Owner.
func TakeOver(namespace, owner string) string {
	return fmt.Sprintf("kubectl label --overwrite namespace %s %s=%s", namespace, StackLabel, owner)
}

// Ready makes a resource wait for the namespace and what comes with it. A component does not pass DependsOn
// on to its children, so each object that is declared in the namespace takes this option itself.
func (n *Namespace) Ready() pulumi.ResourceOption {
	return pulumi.DependsOn(n.parts)
}

// DNSNames are all that pods can call hosts of the namespace by.
func (n *Namespace) DNSNames(hosts ...string) []string {
	var names []string
	for _, host := range hosts {
		for _, suffix := range []string{"", "." + n.Name, "." + n.Name + ".svc", "." + n.Name +
			".svc.cluster.local"} {
			names = append(names, host+suffix)
		}
	}
	return names
}

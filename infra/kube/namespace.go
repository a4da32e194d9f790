package kube

import (
	"errors"
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// podSecurityVersion is the version of the Pod Security Standards that is enforced. A newer cluster warns of
// what its own version adds, and an older one enforces its own.
// Source: https://kubernetes.io/docs/concepts/security/pod-security-admission/
const podSecurityVersion = "v1.35"

// NamespaceArgs describes a namespace.
type NamespaceArgs struct {
	// Name is the name in the cluster.
	Name string
	// Shared says that the namespace is there and belongs to others. It stays as it is, and the network policies
	// select only pods of the stack.
	Shared bool
	// DNSServers answer its pods; nil for ClusterDNS.
	DNSServers []DNSServer
	// Annotated says that pods with metrics get annotations by which a Prometheus finds them.
	Annotated bool
	// Login lets its pods pull images; nil if the registry needs none.
	Login *RegistryLogin
}

// Namespace is a namespace. Its pods may only look up names, until Allow opens more. With nothing but a Name
// it is a namespace of others.
type Namespace struct {
	// Name is the name in the cluster.
	Name string

	// own says that the namespace is the stack's. pods selects the pods that its policies are about.
	own       bool
	pods      map[string]string
	login     bool
	annotated bool
	parts     []pulumi.Resource
}

// NewNamespace declares a namespace with its network policies. When the stack is destroyed it stays in the
// cluster, and with it the volumes.
func NewNamespace(ctx *pulumi.Context, name string, args NamespaceArgs,
	opts ...pulumi.ResourceOption) (*Namespace, error) {
	if args.Name == "" {
		return nil, errors.New("namespace " + name + ": Name is required")
	}
	n := &Namespace{Name: args.Name, own: !args.Shared, login: args.Login != nil,
		annotated: args.Annotated}
	if args.Shared {
		n.pods = map[string]string{partOfLabel: project}
	} else {
		namespace, err := newOwnNamespace(ctx, name, args.Name, opts...)
		if err != nil {
			return nil, err
		}
		n.parts = []pulumi.Resource{namespace}
	}
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

func newOwnNamespace(ctx *pulumi.Context, name, inCluster string,
	opts ...pulumi.ResourceOption) (*corev1.Namespace, error) {
	owner := Owner(ctx)
	labels := map[string]string{StackLabel: owner}
	for mode, version := range map[string]string{"enforce": podSecurityVersion, "audit": "latest",
		"warn": "latest"} {
		labels["pod-security.kubernetes.io/"+mode] = "restricted"
		labels["pod-security.kubernetes.io/"+mode+"-version"] = version
	}
	meta := objectMeta(inCluster, name, FieldManager+"."+owner, labels)
	Annotate(meta, StackLabel, stackName(ctx))
	namespace, err := corev1.NewNamespace(ctx, name, &corev1.NamespaceArgs{Metadata: meta},
		append(opts, pulumi.RetainOnDelete(true))...)
	if err != nil {
		return nil, fmt.Errorf("declaring namespace %s: %w", inCluster, err)
	}
	return namespace, nil
}

// TakeOverCommand returns the command that gives a namespace to the stack with the owner.
func TakeOverCommand(namespace, owner string) string {
	return fmt.Sprintf("kubectl label --overwrite namespace %s %s=%s", namespace, StackLabel, owner)
}

// Ready makes a resource wait for the namespace and its policies. Every object in the namespace needs it:
// components do not pass DependsOn on to their children.
func (n *Namespace) Ready() pulumi.ResourceOption {
	return pulumi.DependsOn(n.parts)
}

// PullSecrets are the references to the Secrets that its pods pull images with.
func (n *Namespace) PullSecrets() (references []map[string]string) {
	if n.login {
		references = append(references, map[string]string{"name": loginSecret})
	}
	return references
}

// DNSNames returns all names that pods can use for hosts of the namespace.
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

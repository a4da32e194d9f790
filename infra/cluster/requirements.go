// Package cluster checks that the cluster can run the stack before anything is declared in it, and reports
// why pods do not start while Pulumi waits for them.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/kubernetes"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// oldest is the first Kubernetes with sidecars that need no feature gate, and prefersNode the first one with
// Services that prefer pods on the client's node.
const oldest, prefersNode = "1.29", "1.35"

// Requirements are what the stack needs of the cluster.
type Requirements struct {
	// Owner is the kube.StackLabel of the stack's namespaces. LastOwner was it in the last up, or is "".
	Owner, LastOwner string
	Namespaces       []string
	// Shareable are the Namespaces that may be the user's own. The stack then selects its own pods there.
	Shareable []string
	// Secrets hold passwords that the stack does not make.
	Secrets []ExistingSecret
	// Claims hold the data.
	Claims       []Claim
	StorageClass string
	DNSServers   []kube.DNSServer
	// Ingress is nil if the stack has none. Shown are the namespaces with apps that it shows to people.
	Ingress *kube.Ingress
	Shown   []string
	// CloudNativePG says that a database has this engine.
	CloudNativePG bool
	Databases     []Database
	// Redis is empty for none.
	Redis Redis
	// MajorOf returns the major version of Postgres in an image of the stack's own, or "".
	MajorOf func(ctx context.Context, image string) string
	// PrometheusOperator says that objects of this operator are declared.
	PrometheusOperator bool
}

// Check returns an error that names each unmet requirement, and what to do about it. The gateway is the one
// of the settings, or nil.
func (r Requirements) Check(ctx context.Context, client kubernetes.Interface,
	gateway *gatewayv1.Gateway) error {
	return errors.Join(
		newEnough(client),
		r.mayDeclare(ctx, client),
		r.ownsNamespaces(ctx, client),
		r.hasStorageClass(ctx, client),
		r.hasIngressClass(ctx, client),
		r.takesRoutes(ctx, client, gateway),
		r.hasIssuer(ctx, client),
		r.findsDNS(ctx, client),
		r.letsIngressIn(ctx, client, gateway),
		r.knowsMonitors(client),
	)
}

func newEnough(client kubernetes.Interface) error {
	running, err := kubernetesVersion(client)
	if err != nil {
		return err
	}
	if running.LessThan(version.MustParseGeneric(oldest)) {
		return fmt.Errorf("the cluster runs Kubernetes %s, and the stack needs %s or newer: upgrade the cluster, "+
			"or select another one with kubectl config use-context", running, oldest)
	}
	return nil
}

func kubernetesVersion(client kubernetes.Interface) (*version.Version, error) {
	info, err := client.Discovery().ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("asking the cluster for its version: %w", err)
	}
	running, err := version.ParseGeneric(info.GitVersion)
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's version: %w", err)
	}
	return running, nil
}

// ownsNamespaces refuses namespaces of others, because the stack's network policies would cut off their pods.
func (r Requirements) ownsNamespaces(ctx context.Context, client kubernetes.Interface) error {
	namespaces, err := existingNamespaces(ctx, client, r.Namespaces)
	if err != nil {
		return err
	}
	var faults []error
	for _, namespace := range namespaces {
		faults = append(faults, r.owns(&namespace))
	}
	return errors.Join(faults...)
}

// existingNamespaces returns the namespaces of these names that are there, as far as the user may know.
func existingNamespaces(ctx context.Context, client kubernetes.Interface,
	names []string) (found []corev1.Namespace, err error) {
	for _, name := range names {
		namespace, err := client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("asking the cluster for the namespace %s: %w", name, err)
		}
		found = append(found, *namespace)
	}
	return found, nil
}

// shared returns the shareable namespaces that are there and belong to no stack.
func (r Requirements) shared(ctx context.Context, client kubernetes.Interface) (shared []string, err error) {
	namespaces, err := existingNamespaces(ctx, client, r.Shareable)
	for _, namespace := range namespaces {
		if namespace.Labels[kube.StackLabel] == "" {
			shared = append(shared, namespace.Name)
		}
	}
	return shared, err
}

// owns fails if the namespace belongs to another stack, or to none and is not shareable.
func (r Requirements) owns(namespace metav1.Object) error {
	name := namespace.GetName()
	owner, owned := namespace.GetLabels()[kube.StackLabel]
	switch {
	case !owned && slices.Contains(r.Shareable, name):
		return nil
	case !owned:
		return fmt.Errorf("the namespace %s is there, and no stack owns it: have others with "+
			"pulumi config set namePrefix alice-; or, if nobody needs what is in it, give it to this stack with %s",
			name, kube.TakeOverCommand(name, r.Owner))
	case owner != r.Owner && owner != r.LastOwner:
		return fmt.Errorf("the namespace %s belongs to the stack %s, and this is %s: give this one namespaces of "+
			"its own with pulumi config set namePrefix alice-; if that stack is gone, or has become this one, take "+
			"it over with %s", name, owner, r.Owner, kube.TakeOverCommand(name, r.Owner))
	}
	return nil
}

func (r Requirements) hasStorageClass(ctx context.Context, client kubernetes.Interface) error {
	classes, err := client.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return unlessForbidden(err, "storage classes")
	}
	var names []string
	for _, class := range classes.Items {
		names = append(names, class.Name)
	}
	return oneOf(names, "storage class", "storageClass", r.StorageClass)
}

func (r Requirements) hasIngressClass(ctx context.Context, client kubernetes.Interface) error {
	if r.Ingress == nil || r.usesGateway() {
		return nil
	}
	classes, err := client.NetworkingV1().IngressClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return unlessForbidden(err, "ingress classes")
	}
	var names []string
	for _, class := range classes.Items {
		names = append(names, class.Name)
	}
	return oneOf(append(names, "none"), "ingress class", "ingressClass", r.Ingress.Class)
}

// hasIssuer fails without the ClusterIssuer, which no Ingress would wait for: it would be served with the
// controller's own certificate.
func (r Requirements) hasIssuer(ctx context.Context, client kubernetes.Interface) error {
	if r.Ingress == nil || r.Ingress.Issuer == "" {
		return nil
	}
	const issuers = "/apis/cert-manager.io/v1/clusterissuers"
	_, err := getMetadata(ctx, client.Discovery().RESTClient().Get().AbsPath(issuers, r.Ingress.Issuer))
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("the cluster has no ClusterIssuer %s: kubectl get clusterissuers lists those that it "+
			"has; for example: pulumi config set ingressIssuer letsencrypt; without cert-manager, put the "+
			"certificate into a Secret of each namespace, and name it with ingressTLSSecret", r.Ingress.Issuer)
	}
	if err != nil {
		return unlessForbidden(err, "ClusterIssuer "+r.Ingress.Issuer)
	}
	return nil
}

// unlessForbidden skips a check that the user may not make: who may not list cluster-wide objects can deploy.
func unlessForbidden(err error, what string) error {
	if apierrors.IsForbidden(err) {
		return nil
	}
	return fmt.Errorf("asking the cluster for its %s: %w", what, err)
}

func oneOf(names []string, what, key, name string) error {
	switch {
	case slices.Contains(names, name):
		return nil
	case len(names) == 0:
		return fmt.Errorf("the cluster has no %s at all, and so not %s: install one", what, name)
	}
	return fmt.Errorf("the cluster has no %s %s: choose one of %s; for example: pulumi config set %s %s", what,
		name, strings.Join(names, ", "), key, names[0])
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/kubernetes"

	"github.com/stateful-k3s/stateful-k3s/infra/database/cloudnativepg"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// ClusterKind is the kind of the object that has a database's servers and their volumes.
const ClusterKind = "clusters.postgresql.cnpg.io"

const (
	operatorLabel = cloudnativepg.OperatorLabel + "=" + cloudnativepg.OperatorApp
	// oldestOperator is the first one that the Clusters of this program need; 2 may be another one altogether.
	oldestOperator, tooNewOperator = "1.30", "2.0"
)

// CloudNativePG is what the cluster has of it.
type CloudNativePG struct {
	// Namespace is the operator's; empty if the stack is to install it, or has.
	Namespace string
	// APIServers are the addresses of the cluster's API.
	APIServers []netip.AddrPort
	// HasPlugin says that somebody else has installed plugin-barman-cloud.
	HasPlugin bool
	// AnyNode says that Services of the cluster cannot prefer pods on the client's node.
	AnyNode bool
}

// findCloudNativePG looks for the operator and its plugin.
func (r Requirements) findCloudNativePG(ctx context.Context, client kubernetes.Interface,
	say func(string)) (found CloudNativePG, err error) {
	if found, err = r.findOperator(ctx, client, say); err != nil {
		return found, err
	}
	err = r.findPlugin(ctx, client, &found, say)
	return found, err
}

// findOperator looks for the operator. A cluster can have only one.
func (r Requirements) findOperator(ctx context.Context, client kubernetes.Interface,
	say func(string)) (found CloudNativePG, err error) {
	if !r.CloudNativePG {
		return found, nil
	}
	if found.APIServers, err = apiServers(ctx, client); err != nil {
		return found, err
	}
	definition, err := getMetadata(ctx, client.Discovery().RESTClient().Get().AbsPath(
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"+ClusterKind))
	if apierrors.IsNotFound(err) {
		say("The cluster has no CloudNativePG. The stack installs it.")
		return found, nil
	}
	if err != nil {
		return found, fmt.Errorf("asking the cluster for CloudNativePG: %w", err)
	}
	if r.hasInstalled(definition) {
		return found, nil
	}
	deployments, err := client.AppsV1().Deployments("").List(ctx,
		metav1.ListOptions{LabelSelector: operatorLabel})
	if err != nil {
		return found, fmt.Errorf("looking for the operator of CloudNativePG: %w", err)
	}
	if len(deployments.Items) != 1 {
		return found, fmt.Errorf("the cluster knows %s, and has %d Deployments with the label %s: install "+
			"CloudNativePG %s or newer; or, if no database of anybody is left, kubectl delete crd %[1]s, and the "+
			"stack installs it", ClusterKind, len(deployments.Items), operatorLabel, oldestOperator)
	}
	operator := deployments.Items[0]
	running, err := operatorVersion(operator)
	if err != nil {
		return found, err
	}
	if !running.AtLeast(version.MustParseGeneric(oldestOperator)) ||
		running.AtLeast(version.MustParseGeneric(tooNewOperator)) {
		return found, fmt.Errorf("CloudNativePG %s runs in the namespace %s, and the stack needs %s or newer, "+
			"before %s: upgrade it, as https://cloudnative-pg.io/documentation/current/installation_upgrade/ says, "+
			"or take the engine statefulset", running, operator.Namespace, oldestOperator, tooNewOperator)
	}
	found.Namespace = operator.Namespace
	say(fmt.Sprintf("The cluster has CloudNativePG %s in the namespace %s. The stack uses it, and leaves it as "+
		"it is.", running, operator.Namespace))
	return found, nil
}

// hasInstalled reports whether this stack has installed a definition.
func (r Requirements) hasInstalled(definition metav1.PartialObjectMetadata) bool {
	owner := definition.Labels[kube.InstalledByLabel]
	return owner != "" && slices.Contains([]string{r.Owner, r.LastOwner}, owner)
}

// operatorVersion reads the version from the tag of the operator's image, or from a chart's label.
func operatorVersion(operator appsv1.Deployment) (*version.Version, error) {
	names := []string{operator.Labels["app.kubernetes.io/version"]}
	for _, container := range operator.Spec.Template.Spec.Containers {
		image, _, _ := strings.Cut(container.Image, "@")
		names = append(names, image[strings.LastIndex(image, ":")+1:])
	}
	for _, name := range names {
		if running, err := version.ParseGeneric(name); err == nil {
			return running, nil
		}
	}
	return nil, fmt.Errorf("the version of CloudNativePG in the namespace %s is not in its image's tag: give "+
		"the Deployment %s the label app.kubernetes.io/version", operator.Namespace, operator.Name)
}

// apiServers returns the addresses behind the Service kubernetes: policies see these, and not the Service's.
func apiServers(ctx context.Context, client kubernetes.Interface) (addresses []netip.AddrPort, err error) {
	slices, err := client.DiscoveryV1().EndpointSlices(metav1.NamespaceDefault).List(ctx,
		metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=kubernetes"})
	if err != nil {
		return nil, fmt.Errorf("asking the cluster for the addresses of its API: %w", err)
	}
	for _, slice := range slices.Items {
		for _, port := range slice.Ports {
			for _, endpoint := range slice.Endpoints {
				for _, text := range endpoint.Addresses {
					address, err := netip.ParseAddr(text)
					if err != nil {
						return nil, fmt.Errorf("reading the address of the cluster's API: %w", err)
					}
					addresses = append(addresses, netip.AddrPortFrom(address, uint16(*port.Port)))
				}
			}
		}
	}
	if len(addresses) == 0 {
		return nil, errors.New("the Service kubernetes in the namespace default has no endpoints: the servers of " +
			"CloudNativePG could not ask the API which of them is the primary")
	}
	return addresses, nil
}

package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
)

// Declared are the kinds of objects that the stack declares in its namespaces.
var Declared = []schema.GroupResource{
	{Resource: "configmaps"}, {Resource: "secrets"}, {Resource: "services"},
	{Group: "apps", Resource: "deployments"}, {Group: "apps", Resource: "statefulsets"},
	{Group: "batch", Resource: "cronjobs"}, {Group: "batch", Resource: "jobs"},
	{Group: "networking.k8s.io", Resource: "ingresses"},
	{Group: "networking.k8s.io", Resource: "networkpolicies"},
	{Group: "policy", Resource: "poddisruptionbudgets"},
}

// OfCloudNativePG are the kinds that it adds for databases with this engine.
var OfCloudNativePG = []schema.GroupResource{
	{Group: "postgresql.cnpg.io", Resource: "clusters"}, {Group: "postgresql.cnpg.io", Resource: "databases"},
}

// OfItsArchives are the kinds that it adds to these for databases with an archive.
var OfItsArchives = []schema.GroupResource{
	{Group: "postgresql.cnpg.io", Resource: "scheduledbackups"},
	{Group: "barmancloud.cnpg.io", Resource: "objectstores"},
}

// OfPrometheusOperator are the kinds that it adds for the Prometheus operator.
var OfPrometheusOperator = []schema.GroupResource{
	{Group: "monitoring.coreos.com", Resource: "podmonitors"},
	{Group: "monitoring.coreos.com", Resource: "prometheusrules"},
}

// neededRights are the rights that an update uses: Pulumi applies objects, and watches pods until they are
// ready.
func (r Requirements) neededRights() (rights []authorizationv1.ResourceAttributes) {
	need := func(namespace string, kind schema.GroupResource, verbs ...string) {
		for _, verb := range verbs {
			rights = append(rights, authorizationv1.ResourceAttributes{
				Namespace: namespace, Group: kind.Group, Resource: kind.Resource, Verb: verb,
			})
		}
	}
	need("", schema.GroupResource{Resource: "namespaces"}, "get", "create", "patch")
	declared := slices.Clone(Declared)
	if r.PrometheusOperator {
		declared = append(declared, OfPrometheusOperator...)
	}
	if r.usesGateway() {
		declared = append(declared, OfGateway...)
	}
	for _, namespace := range r.Namespaces {
		for _, kind := range declared {
			need(namespace, kind, "get", "watch", "create", "patch", "delete")
		}
		need(namespace, schema.GroupResource{Resource: "pods"}, "list", "watch")
	}
	for _, database := range r.Databases {
		if database.Engine != CloudNativePGEngine {
			continue
		}
		kinds := OfCloudNativePG
		if database.Archived {
			kinds = slices.Concat(kinds, OfItsArchives)
		}
		for _, kind := range kinds {
			need(database.Namespace, kind, "get", "watch", "create", "patch", "delete")
		}
	}
	return rights
}

func (r Requirements) mayDeclare(ctx context.Context, client kubernetes.Interface) error {
	var lock sync.Mutex
	refused := map[string][]string{} // verbs by resource
	var group errgroup.Group
	group.SetLimit(20)
	for _, right := range r.neededRights() {
		group.Go(func() error {
			review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx,
				&authorizationv1.SelfSubjectAccessReview{
					Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &right},
				}, metav1.CreateOptions{})
			if err != nil {
				return fmt.Errorf("asking the cluster what you may do: %w; kubectl auth whoami says who you are", err)
			}
			if !review.Status.Allowed {
				lock.Lock()
				defer lock.Unlock()
				resource := schema.GroupResource{Group: right.Group, Resource: right.Resource}.String()
				refused[resource] = append(refused[resource], right.Verb)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil || len(refused) == 0 {
		return err
	}
	return fmt.Errorf("you lack rights in the namespaces %s: %s; ask the cluster's administrator for them "+
		"(kubectl auth whoami says who you are), or select another context with kubectl config use-context",
		strings.Join(r.Namespaces, ", "), byVerbs(refused))
}

// byVerbs describes refused rights, with resources of the same verbs together.
func byVerbs(refused map[string][]string) string {
	resources := map[string][]string{}
	for _, resource := range slices.Sorted(maps.Keys(refused)) {
		slices.Sort(refused[resource])
		verbs := strings.Join(slices.Compact(refused[resource]), ", ")
		resources[verbs] = append(resources[verbs], resource)
	}
	var parts []string
	for _, verbs := range slices.Sorted(maps.Keys(resources)) {
		parts = append(parts, "to "+verbs+": "+strings.Join(resources[verbs], ", "))
	}
	return strings.Join(parts, "; ")
}

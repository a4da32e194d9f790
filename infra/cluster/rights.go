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

// mayDeclare checks the rights that an update uses: Pulumi applies objects, and watches pods until they are
// ready.
func (r Requirements) mayDeclare(ctx context.Context, client kubernetes.Interface) error {
	asked := []authorizationv1.ResourceAttributes{}
	for _, verb := range []string{"get", "create", "patch"} {
		asked = append(asked, authorizationv1.ResourceAttributes{Resource: "namespaces", Verb: verb})
	}
	for _, namespace := range r.Namespaces {
		for _, kind := range Declared {
			for _, verb := range []string{"get", "watch", "create", "patch", "delete"} {
				asked = append(asked, authorizationv1.ResourceAttributes{Namespace: namespace, Group: kind.Group,
					Resource: kind.Resource, Verb: verb})
			}
		}
		for _, verb := range []string{"list", "watch"} {
			asked = append(asked, authorizationv1.ResourceAttributes{Namespace: namespace, Resource: "pods",
				Verb: verb})
		}
	}
	var lock sync.Mutex
	refused := map[string][]string{} // verbs by what they are refused for
	var group errgroup.Group
	group.SetLimit(20)
	for _, attributes := range asked {
		group.Go(func() error {
			review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx,
				&authorizationv1.SelfSubjectAccessReview{
					Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &attributes},
				}, metav1.CreateOptions{})
			if err != nil {
				return fmt.Errorf("asking the cluster what you may do: %w; kubectl auth whoami says who you are", err)
			}
			if !review.Status.Allowed {
				lock.Lock()
				defer lock.Unlock()
				what := schema.GroupResource{Group: attributes.Group, Resource: attributes.Resource}.String()
				refused[what] = append(refused[what], attributes.Verb)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if len(refused) == 0 {
		return nil
	}
	kinds := map[string][]string{} // what is refused, by the verbs
	for _, what := range slices.Sorted(maps.Keys(refused)) {
		slices.Sort(refused[what])
		verbs := strings.Join(slices.Compact(refused[what]), ", ")
		kinds[verbs] = append(kinds[verbs], what)
	}
	var lacking []string
	for _, verbs := range slices.Sorted(maps.Keys(kinds)) {
		lacking = append(lacking, "to "+verbs+": "+strings.Join(kinds[verbs], ", "))
	}
	return fmt.Errorf("you lack rights in the namespaces %s: %s; "+
		"ask the cluster's administrator for them (kubectl auth whoami says who you are), or select another "+
		"context with kubectl config use-context",
		strings.Join(r.Namespaces, ", "), strings.Join(lacking, "; "))
}

package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	discovery "k8s.io/client-go/discovery/fake"
)

// Without its kinds an up would fail in the middle.
func TestThePrometheusOperatorIsLookedFor(t *testing.T) {
	client := newCluster(func(right authorizationv1.ResourceAttributes) bool {
		return right.Group == "monitoring.coreos.com"
	}, storageClass("local-path"), ingressClass("traefik"))
	require.NoError(t, requirements.Check(t.Context(), client, nil))

	needed := requirements
	needed.PrometheusOperator = true
	err := needed.Check(t.Context(), client, nil)
	require.ErrorContains(t, err, "you lack rights in the namespaces exercises, project: to create, delete, "+
		"get, patch, watch: podmonitors.monitoring.coreos.com, prometheusrules.monitoring.coreos.com")
	require.ErrorContains(t, err, "the cluster knows no podmonitors.monitoring.coreos.com, and monitoring is "+
		"operator: install the Prometheus operator, ")

	kinds := &metav1.APIResourceList{GroupVersion: "monitoring.coreos.com/v1"}
	for _, kind := range OfPrometheusOperator {
		kinds.APIResources = append(kinds.APIResources, metav1.APIResource{Name: kind.Resource})
	}
	fake := client.Discovery().(*discovery.FakeDiscovery)
	fake.Resources = append(fake.Resources, kinds)
	require.NotContains(t, needed.Check(t.Context(), client, nil).Error(), "the cluster knows no")
}

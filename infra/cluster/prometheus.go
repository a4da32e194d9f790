package cluster

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
)

// knowsMonitors refuses a cluster without the kinds of the Prometheus operator.
func (r Requirements) knowsMonitors(client kubernetes.Interface) error {
	if !r.PrometheusOperator {
		return nil
	}
	const version = "monitoring.coreos.com/v1"
	known := map[string]bool{}
	kinds, err := client.Discovery().ServerResourcesForGroupVersion(version)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("asking the cluster for the kinds of %s: %w", version, err)
	}
	if err == nil {
		for _, kind := range kinds.APIResources {
			known[kind.Name] = true
		}
	}
	for _, kind := range OfPrometheusOperator {
		if !known[kind.Resource] {
			return fmt.Errorf("the cluster knows no %s, and monitoring is operator: install the Prometheus operator, "+
				"as https://prometheus-operator.dev/docs/getting-started/installation/ says; or, for a Prometheus "+
				"without one, pulumi config set monitoring annotations; or, for one of the stack's own, "+
				"pulumi config set monitoring builtin", kind)
		}
	}
	return nil
}

package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Platforms are the platforms of nodes, such as linux/arm64, with the name of one node of each.
type Platforms map[string]string

// Names returns the platforms, sorted.
func (p Platforms) Names() []string { return slices.Sorted(maps.Keys(p)) }

// Without returns an error if a node's platform is not among the given ones, which something is for.
func (p Platforms) Without(what string, platforms []string) error {
	for _, name := range p.Names() {
		if !slices.Contains(platforms, name) {
			return fmt.Errorf("the node %s is %s, and %s is for %s: its pods could not run there", p[name], name,
				what, strings.Join(platforms, " and "))
		}
	}
	return nil
}

// temporary is what Kubernetes' own taints begin with, of nodes that are not ready or under pressure.
const temporary = "node.kubernetes.io/"

// platforms returns the platforms of the nodes that take any pod. It is empty if the user may not list nodes.
func platforms(ctx context.Context, client kubernetes.Interface) (Platforms, error) {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, unlessForbidden(err, "nodes")
	}
	found := Platforms{}
	for _, node := range nodes.Items {
		reserved := slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool {
			return taint.Effect != corev1.TaintEffectPreferNoSchedule && !strings.HasPrefix(taint.Key, temporary)
		})
		if info := node.Status.NodeInfo; !reserved && info.OperatingSystem == "linux" {
			found[info.OperatingSystem+"/"+info.Architecture] = node.Name
		}
	}
	return found, nil
}

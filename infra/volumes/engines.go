package volumes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/database/cloudnativepg"
)

// left tells what a database has left behind that is no longer in the settings, or has another engine.
func (s Settings) left(last Outputs) (notices []string) {
	for _, name := range slices.Sorted(maps.Keys(last.Volumes.Databases)) {
		was := cmp.Or(last.Volumes.Engines[name], cluster.StatefulSet)
		is := cmp.Or(s.Engines[name], cluster.StatefulSet)
		what := fmt.Sprintf("The database %s is not in the settings any more.", name)
		again := "are used again when its entry is back"
		if s.Databases[name] != "" {
			what = fmt.Sprintf("The database %s has the engine %s now.", name, is)
			again = "hold what it was before"
		}
		if s.Databases[name] != "" && was == is {
			continue
		}
		namespace, object, _ := strings.Cut(last.Volumes.Databases[name], "/")
		if was == cluster.CloudNativePGEngine {
			notices = append(notices, fmt.Sprintf("%s Its Cluster %s in the namespace %s runs on; its volumes and "+
				"its backups stay, and %s. To stop it: %s. To delete the data for good: "+
				"kubectl -n %[3]s delete %[6]s %[2]s",
				what, object, namespace, again, hibernate(namespace, object), cluster.ClusterKind))
			continue
		}
		notices = append(notices, fmt.Sprintf("%s Its claim %s in the namespace %s and its backups stay, and %s. "+
			"To delete the data for good: kubectl -n %[3]s delete pvc %[2]s", what, object, namespace, again))
	}
	return notices
}

// hibernate is the command that stops a Cluster.
func hibernate(namespace, name string) string {
	return fmt.Sprintf("kubectl -n %s annotate %s %s --overwrite %s=on", namespace, cluster.ClusterKind, name,
		cloudnativepg.HibernationAnnotation)
}

// running tells how to stop what a pulumi destroy leaves running; "" if that is nothing.
func (s Settings) running() string {
	var commands []string
	for _, name := range slices.Sorted(maps.Keys(s.Databases)) {
		if s.Engines[name] == cluster.CloudNativePGEngine {
			namespace, object, _ := strings.Cut(s.Databases[name], "/")
			commands = append(commands, hibernate(namespace, object))
		}
	}
	if len(commands) == 0 {
		return ""
	}
	return ". make destroy stops the servers of CloudNativePG, and pulumi destroy leaves them running: to " +
		"stop them, " + strings.Join(commands, " && ")
}

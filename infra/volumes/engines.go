package volumes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The usual engine has a claim, and the other one a Cluster that has the volumes.
const usual, highlyAvailable = "statefulset", "cloudnative-pg"

// left tells what a database has left behind that is no longer in the settings, or has another engine.
func (s Settings) left(last Outputs) (notices []string) {
	for _, name := range slices.Sorted(maps.Keys(last.Volumes.Databases)) {
		was, is := cmp.Or(last.Volumes.Engines[name], usual), cmp.Or(s.Engines[name], usual)
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
		if was == highlyAvailable {
			notices = append(notices, fmt.Sprintf("%s Its Cluster %s in the namespace %s runs on; its volumes and "+
				"its backups stay, and %s. To stop it: %s. To delete the data for good: kubectl -n %[3]s delete "+
				"clusters.postgresql.cnpg.io %[2]s", what, object, namespace, again, hibernate(namespace, object)))
			continue
		}
		notices = append(notices, fmt.Sprintf("%s Its claim %s in the namespace %s and its backups stay, and %s. "+
			"To delete the data for good: kubectl -n %[3]s delete pvc %[2]s", what, object, namespace, again))
	}
	return notices
}

// hibernate is the command that stops a Cluster.
func hibernate(namespace, cluster string) string {
	return fmt.Sprintf("kubectl -n %s annotate clusters.postgresql.cnpg.io %s --overwrite "+
		"cnpg.io/hibernation=on", namespace, cluster)
}

// running tells how to stop what a pulumi destroy leaves running; "" if that is nothing.
func (s Settings) running() string {
	var commands []string
	for _, name := range slices.Sorted(maps.Keys(s.Databases)) {
		if s.Engines[name] == highlyAvailable {
			namespace, cluster, _ := strings.Cut(s.Databases[name], "/")
			commands = append(commands, hibernate(namespace, cluster))
		}
	}
	if len(commands) == 0 {
		return ""
	}
	return ". make destroy stops the servers of CloudNativePG, and pulumi destroy leaves them running: to " +
		"stop them, " + strings.Join(commands, " && ")
}

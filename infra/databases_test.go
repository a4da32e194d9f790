package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// Whatever a database of the user's is called, its objects take no name of another's.
func TestNoNameOfADatabaseCollides(t *testing.T) {
	var entries []map[string]string
	for _, namespace := range []string{"exercises", "project"} {
		for _, name := range []string{"postgres-svc", "backup", "restore", "redis-svc", "pingpong-postgres",
			"todo-backend", "daily-todo", "a", "a-backup", "a-postgres", "a-restore", "storage-exercises"} {
			if namespace == "project" {
				name += "-2"
			}
			entries = append(entries, map[string]string{"name": name, "namespace": namespace})
		}
	}
	encoded, err := json.Marshal(entries)
	require.NoError(t, err)
	recording := recorder.Run(t, withoutCluster, settings(t, map[string]string{
		"databases": string(encoded), "restoreFrom": "latest", "restoreIdentity": ageIdentity,
		"backupRecipient": ageKey, "archivePassphrase": "close-it-tight",
	}))
	seen := map[string]string{}
	for _, recorded := range recording.All() {
		object, is := recorded.Object.(metav1.Object)
		if !is {
			continue
		}
		name := kind(recorded) + " " + object.GetNamespace() + "/" + object.GetName()
		require.Empty(t, seen[name], "%s is also %s", recorded.URN, seen[name])
		seen[name] = string(recorded.URN)
	}
}

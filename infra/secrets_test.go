package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

const stashType = "pulumi:index:Stash"

// kept makes the state hold the same text for every generated secret. It is a certificate, and passes for a
// password.
var kept = recorder.Outputs(stashType, resource.PropertyMap{
	"output": resource.NewProperty(
		`{"Authority": "the authority", "Server": "the certificate", "Key": "the key"}`),
})

// versions returns the versions of the generated secrets, by their names in the state.
func versions(recording *recorder.Recording) map[string]string {
	all := map[string]string{}
	for _, recorded := range recording.All() {
		if string(recorded.URN.Type()) == stashType {
			all[recorded.URN.Name()] = recorded.Request.GetReplacementTrigger().GetStringValue()
		}
	}
	return all
}

// changed returns the keys with different values.
func changed[V any](t *testing.T, before, after map[string]V) (keys []string) {
	t.Helper()
	require.Len(t, after, len(before))
	for key := range before {
		require.Contains(t, after, key)
		if !assert.ObjectsAreEqual(before[key], after[key]) {
			keys = append(keys, key)
		}
	}
	return keys
}

func TestEachGeneratedSecretIsReplacedAlone(t *testing.T) {
	objects := func(recording *recorder.Recording) map[string]any {
		all := map[string]any{}
		for _, recorded := range recording.All() {
			if recorded.Object != nil {
				all[recorded.URN.Name()] = recorded.Object
			}
		}
		return all
	}
	names := map[string]string{
		"redis-password":        "redis-password",
		"storage-exercises-key": "storage-alice-exercises-key",
		"storage-project-key":   "storage-alice-project-key",
		"storage-certificate":   "storage-certificate",
	}
	for _, database := range []string{"pingpong", "todo"} {
		for _, secret := range []string{"owner", "reader", "restorer", "exporter", "certificate"} {
			names[database+"-"+secret] = database + "-postgres-" + secret
		}
	}
	run := func(secretVersions string) *recorder.Recording {
		return recorder.Run(t, withoutCluster, settings(t, map[string]string{
			"namePrefix": "alice-", "ingressHost": "alice.example.com", "secretVersions": secretVersions,
		}), kept)
	}
	before := run("")
	// A salt is no secret.
	require.Len(t, versions(before), len(names)+len([]string{"pingpong-postgres-salt", "todo-postgres-salt"}))
	for name, version := range versions(before) {
		if strings.HasSuffix(name, "-certificate") {
			version, _, _ = strings.Cut(version, " ")
		}
		require.Equal(t, "1", version, "%s: another version than stacks have already replaces it", name)
	}
	for name, inState := range names {
		after := run(name + "=2")
		require.Equal(t, []string{inState}, changed(t, versions(before), versions(after)), name)
		require.Empty(t, changed(t, objects(before), objects(after)),
			"%s: objects change only as their secrets do", name)
	}
}

// A group replaces its secrets, and what only serves them, and no others.
func TestGroupsOfSecretsAreReplaced(t *testing.T) {
	passwords := func(database string) (all []string) {
		for _, secret := range []string{"owner", "reader", "restorer", "exporter", "salt"} {
			all = append(all, database+"-postgres-"+secret)
		}
		return all
	}
	run := func(secretVersions string) map[string]string {
		changes := map[string]string{"secretVersions": secretVersions}
		return versions(recorder.Run(t, withoutCluster, settings(t, changes)))
	}
	certificates := []string{"pingpong-postgres-certificate", "todo-postgres-certificate"}
	allPasswords := append(passwords("pingpong"), passwords("todo")...)
	keys := []string{"storage-exercises-key", "storage-project-key"}
	for group, replaced := range map[string][]string{
		"postgres-passwords": allPasswords, "postgres-certificates": certificates,
		"postgres":     append(slices.Clone(allPasswords), certificates...),
		"todo":         append(passwords("todo"), certificates[1]),
		"storage-keys": keys, "storage-certificates": {"storage-certificate"},
		"storage": append(slices.Clone(keys), "storage-certificate"),
		"redis":   {"redis-password"},
	} {
		require.ElementsMatch(t, replaced, changed(t, run(""), run(group+"=2")), group)
	}
}

// ofOwner are the entries of Secrets that hold the password of the owner of a namespace's database.
func ofOwner(namespace string) []string {
	return []string{
		namespace + "/postgres URL", namespace + "/postgres verifiers.sql", namespace + "/postgres-client URL",
		namespace + "/postgres-client password", namespace + "/postgres-client PGPASSWORD",
	}
}

func TestEachConfiguredSecretIsReplacedAlone(t *testing.T) {
	given := map[string]string{
		"registryUsername": "pusher", "registryPassword": "of-the-pusher",
		"pullUsername": "puller", "pullPassword": "of-the-puller",
		"redisPassword":    "of-redis",
		"postgresPassword": "of-the-owners", "postgresReaderPassword": "of-the-readers",
		"archivePassphrase": "of-the-archives", "backupRecipient": ageKey,
	}
	data := func(changes map[string]string) (map[string]string, *recorder.Recording) {
		all := maps.Clone(given)
		maps.Copy(all, changes)
		recording := recorder.Run(t, withoutCluster, settings(t, all), kept)
		values := map[string]string{}
		for _, recorded := range recording.All() {
			if secret, is := recorded.Object.(*corev1.Secret); is {
				for key, value := range secret.Data {
					values[secret.Namespace+"/"+secret.Name+" "+key] = string(value)
				}
			}
		}
		return values, recording
	}
	before, _ := data(nil)
	for setting, replaced := range map[string][]string{
		"registryPassword": nil,
		"pullPassword": {
			"exercises/registry .dockerconfigjson", "project/registry .dockerconfigjson",
			"storage/registry .dockerconfigjson",
		},
		"redisPassword":    {"exercises/redis password", "exercises/redis auth.conf"},
		"postgresPassword": append(ofOwner("exercises"), ofOwner("project")...),
		"postgresReaderPassword": {
			"exercises/postgres READER_URL", "exercises/postgres verifiers.sql",
			"project/postgres READER_URL", "project/postgres verifiers.sql",
		},
		"archivePassphrase": {
			"exercises/postgres-archive archive-passphrase", "exercises/backup archive-passphrase",
			"project/postgres-archive archive-passphrase", "project/backup archive-passphrase",
		},
	} {
		after, recording := data(map[string]string{setting: "another-password"})
		require.ElementsMatch(t, replaced, changed(t, before, after), setting)
		recording.RequireSecret(t, "another-password")
	}
}

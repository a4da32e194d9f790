package e2e

import (
	"crypto/rand"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// keepsVerifiers is the places where Postgres keeps what verifies passwords: its data, and the archive of it.
var keepsVerifiers = regexp.MustCompile(`_data-postgres-ss-0/pgdata/|_data-storage-ss-0/backups/\w+/wal/`)

func TestSecretsStandInSecretsAlone(t *testing.T) {
	c := newCluster(t)
	s := c.searchForAll()
	const planted = "planted by the test"
	plant := strings.ToLower(rand.Text()) // as host names are
	require.NoError(t, s.add(planted, plant))
	c.plant(plant)
	for setting, value := range c.configureSecrets(plant) {
		require.NoError(t, s.add("setting "+setting, value))
	}
	secrets := slices.Compact(slices.Sorted(maps.Values(s.names)))
	// 8 passwords and 2 keys of databases, with 2 files of verifiers; of Redis 1 with its file; of the store 2
	// and a key; the passphrase; 13 settings; and the planted one.
	require.Len(t, secrets, 32, secrets)

	s.inOutput(c, "pulumi", "preview", "--non-interactive", "--diff")
	s.inOutput(c, "pulumi", "preview", "--non-interactive", "--json")
	s.inOutput(c, "pulumi", "stack", "output", "--json", "--show-secrets")
	s.inOutput(c, "pulumi", "stack", "export")
	s.inOutput(c, "pulumi", "config")
	s.inObjects(c)
	mounted := s.inProcesses(c)
	s.inFiles(c)

	misplaced, kinds := []finding{}, map[string]bool{}
	for found := range s.found {
		kind, _, _ := strings.Cut(found.place, " ")
		switch {
		case found.secret == planted:
			kinds[kind] = true
		case strings.HasSuffix(found.secret, " verifiers.sql") && keepsVerifiers.MatchString(found.place):
			kinds["database"] = true
		default:
			misplaced = append(misplaced, found)
		}
	}
	t.Logf("searched for %d secrets in %d forms, in %d places of %d MB together: found %d where they do not belong",
		len(secrets), len(s.names), s.places, s.bytes>>20, len(misplaced))
	assert.Empty(t, misplaced)
	assert.Equal(t, map[string]bool{"object": true, "process": true, "file": true, "output": true,
		"database": true}, kinds, "the search finds")
	assert.Equal(t, []string{"tmpfs"}, slices.Collect(maps.Keys(mounted)), "where pods have secrets")
}

// plant puts a text where secrets must not be: into an object, a process and a log.
func (c *cluster) plant(text string) {
	c.t.Helper()
	pod := visitor(nil, fmt.Sprintf("echo %s; sleep 300", text))
	pods := c.CoreV1().Pods(c.namespace)
	pod, err := pods.Create(c.t.Context(), pod, metav1.CreateOptions{})
	require.NoError(c.t, err)
	c.t.Cleanup(func() {
		run(c.t,
			command(".", "kubectl", "-n", c.namespace, "delete", "pod", pod.Name, "--now"))
	})
	eventually(c.t, func() error {
		log, err := pods.GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(c.t.Context())
		if err == nil && !strings.Contains(string(log), text) {
			err = fmt.Errorf("pod %s has not said it", pod.Name)
		}
		return err
	})
}

// configureSecrets sets the secret settings of the stack, for previews alone, to values that it returns. A
// text stands in one that is no secret.
func (c *cluster) configureSecrets(open string) map[string]string {
	c.t.Helper()
	identity, err := age.GenerateX25519Identity()
	require.NoError(c.t, err)
	secrets := map[string]string{"restoreIdentity": identity.String()}
	for _, setting := range []string{
		"registryPassword", "pullPassword", "redisPassword", "postgresPassword", "postgresReaderPassword",
		"pingpongPostgresPassword", "todoPostgresPassword",
		"pingpongPostgresReaderPassword", "todoPostgresReaderPassword", "archivePassphrase", "s3AccessKey",
		"s3SecretKey",
	} {
		secrets[setting] = rand.Text()
	}
	configure(c.t, secrets, "registryUsername=pusher", "pullUsername=puller",
		"s3Endpoint=https://s3.example.com", "restoreFrom=latest", "todoAllowedOrigins=https://"+open)
	return secrets
}

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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/secrets"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// keepsVerifiers matches the files in which Postgres keeps verifiers of passwords: its data and its archive.
var keepsVerifiers = regexp.MustCompile(`_data-postgres-ss-0/pgdata/|_data-storage-ss-0/backups/\w+/wal/`)

func TestSecretsStandInSecretsAlone(t *testing.T) {
	c := newCluster(t)
	s := secrets.SearchForAll(c)
	const planted = "planted by the test"
	text := strings.ToLower(rand.Text()) // as host names are
	require.NoError(t, s.Add(planted, text))
	plant(c, text)
	for setting, value := range configureSecrets(c, text) {
		require.NoError(t, s.Add("setting "+setting, value))
	}
	names := slices.Compact(slices.Sorted(maps.Values(s.Names)))
	// 8 passwords and 2 keys of databases, with 2 files of verifiers; of Redis 1 with its file; of the store 2
	// and a key; the passphrase; 9 settings; and the planted one.
	require.Len(t, names, 28, names)

	s.InOutput(c, "pulumi", "preview", "--non-interactive", "--diff")
	s.InOutput(c, "pulumi", "preview", "--non-interactive", "--json")
	s.InOutput(c, "pulumi", "stack", "output", "--json", "--show-secrets")
	s.InOutput(c, "pulumi", "stack", "export")
	s.InOutput(c, "pulumi", "config")
	s.InObjects(c)
	mounted := s.InProcesses(c)
	s.InFiles(c)

	misplaced, kinds := []secrets.Finding{}, map[string]bool{}
	for found := range s.Found {
		kind, _, _ := strings.Cut(found.Place, " ")
		switch {
		case found.Secret == planted:
			kinds[kind] = true
		case strings.HasSuffix(found.Secret, " verifiers.sql") && keepsVerifiers.MatchString(found.Place):
			kinds["database"] = true
		default:
			misplaced = append(misplaced, found)
		}
	}
	t.Logf("searched for %d secrets in %d forms, in %d places with %d MB: %d are misplaced",
		len(names), len(s.Names), s.Places, s.Bytes>>20, len(misplaced))
	assert.Empty(t, misplaced)
	assert.Equal(t, map[string]bool{"object": true, "process": true, "file": true, "output": true,
		"database": true}, kinds, "the search finds")
	assert.Equal(t, []string{"tmpfs"}, slices.Collect(maps.Keys(mounted)), "where pods have secrets")
}

// plant puts a text where secrets must not be: into an object, a process and a log.
func plant(c *kube.Cluster, text string) {
	pod, err := c.CoreV1().Pods(c.Namespace).Create(c.T.Context(),
		kube.Visitor(nil, fmt.Sprintf("echo %s; sleep 300", text)), metav1.CreateOptions{})
	require.NoError(c.T, err)
	c.T.Cleanup(func() { c.Kubectl("delete", "pod", pod.Name, "--now") })
	wait.Until(c.T, func() error {
		if log, err := c.Command("logs", pod.Name).Output(); err != nil || !strings.Contains(string(log), text) {
			return fmt.Errorf("pod %s has not said it: %w", pod.Name, err)
		}
		return nil
	})
}

// configureSecrets makes the secret settings of the stack, for previews alone, and returns them. A
// setting that is no secret gets the text.
func configureSecrets(c *kube.Cluster, open string) map[string]string {
	identity, err := age.GenerateX25519Identity()
	require.NoError(c.T, err)
	settings := map[string]string{"restoreIdentity": identity.String()}
	for _, setting := range []string{
		"registryPassword", "pullPassword", "redisPassword", "postgresPassword", "postgresReaderPassword",
		"archivePassphrase", "s3AccessKey", "s3SecretKey",
	} {
		settings[setting] = rand.Text()
	}
	pulumi.Configure(c.T, settings, "registryUsername=pusher", "pullUsername=puller",
		"s3Endpoint=https://s3.example.com", "restoreFrom=latest", "todoAllowedOrigins=https://"+open)
	return settings
}

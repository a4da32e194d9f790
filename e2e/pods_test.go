package e2e

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestProcessesOfPodsHaveNoPower looks at what runs. A pod's first process, which holds its namespaces, is
// Kubernetes' own.
func TestProcessesOfPodsHaveNoPower(t *testing.T) {
	c := newCluster(t)
	containers := map[string]bool{}
	for _, pod := range c.running() {
		if !isOurs(pod) {
			continue
		}
		for _, process := range processesOf(pod) {
			dir := filepath.Join("/proc", strconv.Itoa(process))
			status, mounts, comm := read(dir, "status"), read(dir, "mountinfo"), strings.TrimSpace(read(dir, "comm"))
			if comm == "pause" || status == "" || mounts == "" { // it has ended
				continue
			}
			name := pod.Namespace + "/" + pod.Name + " " + comm
			containers[read(dir, "cgroup")] = true
			for field, wanted := range map[string]string{"NoNewPrivs": "1", "Seccomp": "2",
				"CapEff": "0000000000000000", "CapBnd": "0000000000000000"} {
				assert.Contains(t, status, "\n"+field+":\t"+wanted+"\n", name)
			}
			for _, ids := range []string{"Uid", "Gid"} {
				_, rest, _ := strings.Cut(status, "\n"+ids+":\t")
				line, _, _ := strings.Cut(rest, "\n")
				assert.NotContains(t, strings.Fields(line), "0", "%s: %s", name, ids)
			}
			assert.Regexp(t, `(?m)^\d+ \d+ \S+ \S+ / ro[, ]`, mounts, "%s: its root file system can be written to",
				name)
			assert.NotContains(t, mounts, "kubernetes.io/serviceaccount", name)
		}
	}
	count := 0
	for _, pod := range c.running() {
		if isOurs(pod) {
			count += len(pod.Spec.Containers)
			for _, container := range pod.Spec.InitContainers {
				if container.RestartPolicy != nil { // it runs beside them
					count++
				}
			}
		}
	}
	assert.Len(t, containers, count, "containers looked at")
}

// TestImagesHoldNothingButTheirApp leaves out those that run Postgres' own programs, which start others with
// a shell.
func TestImagesHoldNothingButTheirApp(t *testing.T) {
	newCluster(t)
	var images map[string]string
	require.NoError(t, json.Unmarshal([]byte(pulumi(t, checkout, "stack", "output", "images", "--json")),
		&images))
	for _, postgres := range []string{"backup", "postgres"} {
		require.Contains(t, images, postgres)
		delete(images, postgres)
	}
	require.NotEmpty(t, images)
	for app, reference := range images {
		assert.Equal(t, []string{strings.ReplaceAll(app, "postgres-exporter", "postgres_exporter")},
			files(t, reference), app)
	}
}

// files are those of an image, as the registry has it, without folders.
func files(t *testing.T, reference string) (names []string) {
	t.Helper()
	digest, err := name.NewDigest(reference)
	require.NoError(t, err)
	image, err := remote.Image(digest, append(registryAccess(t), remote.WithContext(t.Context()))...)
	require.NoError(t, err)
	content := mutate.Extract(image)
	defer content.Close()
	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		require.NoError(t, err)
		if header.Typeflag != tar.TypeDir {
			names = append(names, strings.TrimPrefix(header.Name, "/"))
		}
	}
}

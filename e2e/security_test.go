package e2e

import (
	"archive/tar"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
)

// TestProcessesOfPodsHaveNoPower looks at what runs. A pod's first process, which holds its namespaces, is
// Kubernetes' own.
func TestProcessesOfPodsHaveNoPower(t *testing.T) {
	c := newCluster(t)
	containers, count := map[string]bool{}, 0
	for _, pod := range c.Running() {
		if !kube.IsOurs(pod) {
			continue
		}
		count += len(pod.Spec.Containers)
		for _, container := range pod.Spec.InitContainers {
			if container.RestartPolicy != nil { // it runs beside them
				count++
			}
		}
		for _, process := range kube.Processes(&pod, "") {
			dir := proc.Dir(process)
			status, mounts, comm := proc.Read(dir, "status"), proc.Read(dir, "mountinfo"), proc.Name(dir)
			if comm == "pause" || status == "" || mounts == "" { // it has ended
				continue
			}
			name := pod.Namespace + "/" + pod.Name + " " + comm
			containers[proc.Read(dir, "cgroup")] = true
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
	assert.Len(t, containers, count, "containers looked at")
}

// TestImagesHoldNothingButTheirApp leaves out two images: the programs of Postgres in them need a shell.
func TestImagesHoldNothingButTheirApp(t *testing.T) {
	newCluster(t)
	images := pulumi.GetOutputs(t).Images
	for _, postgres := range []string{"backup-postgres-18", "postgres-postgres-18"} {
		require.Contains(t, images, postgres)
		delete(images, postgres)
	}
	require.NotEmpty(t, images)
	for app, reference := range images {
		assert.Equal(t, []string{app},
			files(t, reference), app)
	}
}

// files returns the files of an image in the registry.
func files(t *testing.T, reference string) (names []string) {
	digest, err := name.NewDigest(reference)
	require.NoError(t, err)
	image, err := remote.Image(digest, append(registryAccess(t, lab.Name()), remote.WithContext(t.Context()))...)
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

// neighbour is another user of this machine.
const neighbour = 65534

// TestOtherUsersOfThisMachineGetNothing tests what docs/lab.md says about other users.
func TestOtherUsersOfThisMachineGetNothing(t *testing.T) {
	newCluster(t)
	for _, name := range []string{"", "kubeconfig", "passphrase", "registry-login.json", "pulumi",
		"node-0/lib/rancher/k3s/server/token", "run/buildkitd.sock"} {
		path := lab.Path(name)
		_, err := os.Lstat(path)
		require.NoError(t, err)
		for _, may := range []string{"-r", "-w"} {
			test := exec.Command("/usr/bin/test", may, path)
			test.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: neighbour, Gid: neighbour}}
			var exit *exec.ExitError
			if assert.ErrorAs(t, test.Run(), &exit, "%s %s", may, path) {
				assert.Equal(t, 1, exit.ExitCode(), "%s %s", may, path)
			}
		}
	}

	registry, node := lab.Registry(), lab.NodeAddress()
	stranger := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // it asks without a password
	}}
	for _, request := range []struct {
		method, url string
		want        int
	}{
		{http.MethodGet, "https://" + registry + "/v2/_catalog", http.StatusUnauthorized},
		{http.MethodGet, "https://" + registry + "/v2/library/postgres/manifests/18", http.StatusUnauthorized},
		{http.MethodPost, "https://" + registry + "/v2/library/postgres/blobs/uploads/", http.StatusUnauthorized},
		{http.MethodPut, "https://" + registry + "/v2/library/postgres/manifests/18", http.StatusUnauthorized},
		// It speaks nothing but TLS.
		{http.MethodPut, "http://" + registry + "/v2/library/postgres/manifests/18", http.StatusBadRequest},
		{http.MethodGet, "https://" + node + ":6443/api/v1/namespaces/kube-system/secrets",
			http.StatusUnauthorized},
		{http.MethodGet, "https://" + node + ":10250/pods", http.StatusUnauthorized},
	} {
		asked, err := http.NewRequestWithContext(t.Context(), request.method, request.url, strings.NewReader("{}"))
		require.NoError(t, err)
		answer, err := stranger.Do(asked)
		if assert.NoError(t, err, request.url) {
			assert.Equal(t, request.want, answer.StatusCode, "%s %s", request.method, request.url)
			answer.Body.Close()
		}
	}
}

// registryAccess is how a lab's owner uses its registry.
func registryAccess(t *testing.T, name string) (options []remote.Option) {
	dir, trusted := filepath.Join(lab.Root, name), x509.NewCertPool()
	require.True(t, trusted.AppendCertsFromPEM([]byte(proc.Read(dir, "trust/registry.crt"))))
	var logins struct{ Auths map[string]authn.AuthConfig }
	require.NoError(t, json.Unmarshal([]byte(proc.Read(dir, "registry-login.json")), &logins))
	for _, login := range logins.Auths { // one
		options = append(options, remote.WithAuth(authn.FromConfig(login)))
	}
	return append(options, remote.WithTransport(&http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}))
}

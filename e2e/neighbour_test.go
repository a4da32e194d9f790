package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// neighbour is another user of this machine.
const neighbour = 65534

// TestOtherUsersOfThisMachineGetNothing is what docs/connections.md says of them.
func TestOtherUsersOfThisMachineGetNothing(t *testing.T) {
	newCluster(t)
	lab := filepath.Join(labs, labName())
	for _, path := range []string{
		lab, filepath.Join(lab, "kubeconfig"), filepath.Join(lab, "passphrase"),
		filepath.Join(lab, "registry-login.json"),
		filepath.Join(lab, "pulumi"), filepath.Join(lab, "node-0/lib/rancher/k3s/server/token"),
		filepath.Join(lab, "run/buildkitd.sock"),
	} {
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

	registry, node := os.Getenv("STATEFUL_K3S_REGISTRY"),
		net.JoinHostPort(os.Getenv("STATEFUL_K3S_INGRESS_ADDRESS"), "6443")
	kubelet := net.JoinHostPort(os.Getenv("STATEFUL_K3S_INGRESS_ADDRESS"), "10250")
	stranger := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // it asks without a password
	for _, request := range []struct {
		method, url string
		want        int
	}{
		{http.MethodGet, "https://" + registry + "/v2/_catalog", http.StatusUnauthorized},
		{http.MethodGet, "https://" + registry + "/v2/library/postgres/manifests/17", http.StatusUnauthorized},
		{http.MethodPost, "https://" + registry + "/v2/library/postgres/blobs/uploads/", http.StatusUnauthorized},
		{http.MethodPut, "https://" + registry + "/v2/library/postgres/manifests/17", http.StatusUnauthorized},
		{http.MethodPut, "http://" + registry + "/v2/library/postgres/manifests/17", http.StatusBadRequest},
		// it speaks TLS alone
		{http.MethodGet, "https://" + node + "/api/v1/namespaces/kube-system/secrets", http.StatusUnauthorized},
		{http.MethodGet, "https://" + kubelet + "/pods", http.StatusUnauthorized},
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

// registryAccess has a test use the lab's registry as the lab's owner does.
func registryAccess(t *testing.T) []remote.Option {
	t.Helper()
	lab := filepath.Join(labs, labName())
	trusted := x509.NewCertPool()
	require.True(t, trusted.AppendCertsFromPEM([]byte(read(lab, "trust/registry.crt"))))
	var login struct{ Auths map[string]authn.AuthConfig }
	require.NoError(t, json.Unmarshal([]byte(read(lab, "registry-login.json")), &login))
	return []remote.Option{
		remote.WithTransport(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted,
			MinVersion: tls.VersionTLS12}}),
		remote.WithAuth(authn.FromConfig(login.Auths[os.Getenv("STATEFUL_K3S_REGISTRY")])),
	}
}

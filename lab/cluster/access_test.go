package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

func newLab(t *testing.T) (layout.Lab, Owner) {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	lab, err := layout.New("dev", t.TempDir(), t.TempDir())
	require.NoError(t, err)
	lab, err = lab.InHome()
	require.NoError(t, err)
	return lab, Owner{UID: os.Getuid(), GID: os.Getgid()}
}

func TestTheRegistrysLoginStays(t *testing.T) {
	lab, owner := newLab(t)
	first, err := newAccess(lab, owner)
	require.NoError(t, err)
	hash, err := os.ReadFile(passwordFile(lab))
	require.NoError(t, err)
	second, err := newAccess(lab, owner)
	require.NoError(t, err)
	assert.Equal(t, first, second)
	again, err := os.ReadFile(passwordFile(lab))
	require.NoError(t, err)
	assert.Equal(t, hash, again)

	content, err := os.ReadFile(lab.RegistryLogin())
	require.NoError(t, err)
	var docker struct {
		Auths map[string]struct{ Auth string }
	}
	require.NoError(t, json.Unmarshal(content, &docker))
	credentials, err := base64.StdEncoding.DecodeString(docker.Auths["10.231.188.1:5000"].Auth)
	require.NoError(t, err)
	assert.Equal(t, registryUser+":"+first.password, string(credentials))
	bcryptHash := strings.TrimPrefix(strings.TrimSpace(string(hash)), registryUser+":")
	assert.NoError(t, bcrypt.CompareHashAndPassword([]byte(bcryptHash), []byte(first.password)))
	for _, path := range []string{lab.RegistryLogin(), passwordFile(lab), registryKey(lab)} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), path)
	}
}

func TestACertificateThatDoesNotServeIsMadeAnew(t *testing.T) {
	lab, owner := newLab(t)
	first, err := newAccess(lab, owner)
	require.NoError(t, err)
	other, err := layout.New("other", lab.Cache, lab.Checkout)
	require.NoError(t, err)
	other, err = other.InHome()
	require.NoError(t, err)
	require.NoError(t, os.Rename(lab.Dir(), other.Dir())) // another address

	second, err := makeCertificate(other)
	require.NoError(t, err)
	assert.NotEqual(t, first.certificate, second)
	pair, err := tls.LoadX509KeyPair(other.RegistryCertificate(), registryKey(other))
	require.NoError(t, err)
	assert.NoError(t, pair.Leaf.VerifyHostname(other.HostAddress().String()))
	assert.False(t, pair.Leaf.IsCA, "with its key nobody can make others that the lab trusts")
}

// The lab, Pulumi's plugin and containerd verify certificates in Go.
func TestTheRegistrysCertificateIsTrustedByItself(t *testing.T) {
	lab, owner := newLab(t)
	made, err := newAccess(lab, owner)
	require.NoError(t, err)
	pair, err := tls.LoadX509KeyPair(lab.RegistryCertificate(), registryKey(lab))
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != registryUser || password != made.password {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)

	get := func(trusted *x509.CertPool) error {
		connection, err := tls.Dial("tcp", server.Listener.Addr().String(),
			&tls.Config{RootCAs: trusted, ServerName: lab.HostAddress().String(), MinVersion: tls.VersionTLS12})
		if err == nil {
			connection.Close()
		}
		return err
	}
	require.NoError(t, get(made.transport().TLSClientConfig.RootCAs))
	require.ErrorContains(t, get(x509.NewCertPool()), "unknown authority")
	assert.Nil(t, made.transport().Proxy)
	assert.True(t, net.ParseIP(lab.HostAddress().String()).IsPrivate())
}

package image_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/image"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/registrytest"
)

func TestMissingImages(t *testing.T) {
	host := registrytest.New(t).Address
	digest := registrytest.Push(t, host+"/kept:dev")
	require.Equal(t, map[string]bool{"deleted": true, "unheard-of": true},
		image.Missing(t.Context(), map[string]string{
			"kept":       host + "/kept:dev@" + digest,
			"deleted":    host + "/kept:dev@" + recorder.Digest,
			"unheard-of": host + "/unheard-of:dev@" + recorder.Digest,
			"no image":   "kept",
		}, nil))
}

func TestNothingIsMissingInARegistryThatDoesNotTell(t *testing.T) {
	for name, status := range map[string]int{
		"forbidden": http.StatusForbidden, "login": http.StatusUnauthorized,
		"overload": http.StatusServiceUnavailable,
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
			}))
			defer server.Close()
			require.Empty(t, missingAt(t, server.Listener.Addr().String(), nil))
		})
	}
	t.Run("down", func(t *testing.T) { require.Empty(t, missingAt(t, "127.0.0.1:1", nil)) })
}

func missingAt(t *testing.T, host string, login authn.Authenticator) map[string]bool {
	t.Helper()
	return image.Missing(t.Context(), map[string]string{"app": host + "/app:dev@" + recorder.Digest}, login)
}

func TestLoginIsSentOnlyOverTLS(t *testing.T) {
	logins := map[string]bool{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		username, _, _ := r.BasicAuth()
		logins[username] = true
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	alice := authn.FromConfig(authn.AuthConfig{Username: "alice", Password: "push-it"})
	plain := httptest.NewServer(handler)
	defer plain.Close()
	require.Empty(t, missingAt(t, plain.Listener.Addr().String(), alice))
	require.Equal(t, map[string]bool{"": true}, logins)

	server := httptest.NewTLSServer(handler)
	defer server.Close()
	usual := remote.DefaultTransport
	defer func() { remote.DefaultTransport = usual }()
	remote.DefaultTransport = server.Client().Transport
	require.Empty(t, missingAt(t, server.Listener.Addr().String(), alice))
	require.Equal(t, map[string]bool{"": true, "alice": true}, logins)
}

package image_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/image"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

func TestImagesThatTheRegistryHasLost(t *testing.T) {
	server := httptest.NewServer(registry.New())
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	kept, err := random.Image(16, 1)
	require.NoError(t, err)
	digest, err := kept.Digest()
	require.NoError(t, err)
	tag, err := name.NewTag(host + "/kept:dev")
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag, kept))
	require.Equal(t, map[string]bool{"deleted": true, "unheard-of": true},
		image.Lost(t.Context(), map[string]string{
			"kept":       tag.String() + "@" + digest.String(),
			"deleted":    host + "/kept:dev@" + recorder.Digest,
			"unheard-of": host + "/unheard-of:dev@" + recorder.Digest,
			"no image":   "kept",
		}, nil))
}

// Nothing is lost of which nobody knows.
func TestARegistryThatDoesNotSayWhatItHas(t *testing.T) {
	for name, status := range map[string]int{"refuses": http.StatusForbidden,
		"wants a login": http.StatusUnauthorized, "is overloaded": http.StatusServiceUnavailable} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
			_ *http.Request) {
			w.WriteHeader(status)
		}))
		defer server.Close()
		require.Empty(t, image.Lost(t.Context(),
			map[string]string{"app": strings.TrimPrefix(server.URL, "http://") + "/app:dev@" + recorder.Digest}, nil),
			name)
	}
	require.Empty(t, image.Lost(t.Context(), map[string]string{"app": "127.0.0.1:1/app:dev@" + recorder.Digest},
		nil), "is away")
}

func TestTheRegistryIsAskedWithALogin(t *testing.T) {
	logins := map[string]bool{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		username, _, _ := r.BasicAuth()
		logins[username] = true
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	alice := authn.FromConfig(authn.AuthConfig{Username: "alice", Password: "push-it"})
	ask := func(server *httptest.Server) {
		defer server.Close()
		require.Empty(t, image.Lost(t.Context(),
			map[string]string{"app": server.Listener.Addr().String() + "/app:dev@" + recorder.Digest}, alice))
	}
	ask(httptest.NewServer(handler))
	require.Equal(t, map[string]bool{"": true}, logins, "told to whoever listens, without TLS")

	server := httptest.NewTLSServer(handler)
	usual := remote.DefaultTransport
	defer func() { remote.DefaultTransport = usual }()
	remote.DefaultTransport = server.Client().Transport
	ask(server)
	require.Equal(t, map[string]bool{"": true, "alice": true}, logins)
}

// Package registrytest serves registries with images to tests.
package registrytest

import (
	"io"
	"log"
	"net/http/httptest"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
)

// Registry is a registry at Address, a host with a port, until the test ends or Close.
type Registry struct {
	*httptest.Server
	Address string
}

// New starts an empty registry.
func New(t *testing.T) Registry {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return Registry{server, server.Listener.Addr().String()}
}

// Push pushes an image with an environment, such as PG_MAJOR=17, and returns its digest.
func Push(t *testing.T, ref string, env ...string) (digest string) {
	t.Helper()
	image, err := mutate.Config(empty.Image, v1.Config{Env: env})
	require.NoError(t, err)
	tag, err := name.NewTag(ref)
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag, image))
	hash, err := image.Digest()
	require.NoError(t, err)
	return hash.String()
}

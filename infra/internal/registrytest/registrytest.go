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

// Push pushes an image for linux/amd64 with an environment, such as PG_MAJOR=17, and returns its digest.
func Push(t *testing.T, ref string, env ...string) (digest string) {
	t.Helper()
	image, err := mutate.ConfigFile(empty.Image,
		&v1.ConfigFile{OS: "linux", Architecture: "amd64", Config: v1.Config{Env: env}})
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag(t, ref), image))
	return digestOf(t, image)
}

// PushIndex pushes an image for several architectures of Linux, and what a builder says of it.
func PushIndex(t *testing.T, ref string, architectures ...string) (digest string) {
	t.Helper()
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: empty.Image,
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}})
	for _, architecture := range architectures {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: empty.Image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}}})
	}
	require.NoError(t, remote.WriteIndex(tag(t, ref), index))
	return digestOf(t, index)
}

func tag(t *testing.T, ref string) name.Tag {
	t.Helper()
	tag, err := name.NewTag(ref)
	require.NoError(t, err)
	return tag
}

func digestOf(t *testing.T, pushed interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	hash, err := pushed.Digest()
	require.NoError(t, err)
	return hash.String()
}

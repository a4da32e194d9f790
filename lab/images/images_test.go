package images

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

func program(t *testing.T, content string) Image {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o755))
	return Image{
		Name: "hello:1", inputs: []string{content}, config: v1.Config{Entrypoint: []string{"/hello"}},
		write: scratch(file{path: "hello", mode: 0o755, from: path}, file{path: "hi", mode: 0o777, link: "hello"}),
	}
}

// hub is a registry that counts what is uploaded.
func hub(t *testing.T) (address string, uploads *atomic.Int32) {
	uploads = new(atomic.Int32)
	server := registry.New()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			uploads.Add(1)
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), uploads
}

func TestAnImageIsWhereDockerHubHasIt(t *testing.T) {
	ctx, cache := context.Background(), t.TempDir()
	address, uploads := hub(t)
	image := program(t, "hello")
	require.NoError(t, Assemble(ctx, cache, []Image{image}))
	require.NoError(t, Push(ctx, cache, address, []Image{image}))

	pushed := pull(t, address+"/library/hello:1")
	config, err := pushed.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, []string{"/hello"}, config.Config.Entrypoint)
	assert.Equal(t, "linux", config.OS)
	assert.Equal(t, map[string]string{"hello": "hello", "hi": "-> hello"}, files(t, pushed))

	before := uploads.Load()
	require.NoError(t, Push(ctx, cache, address, []Image{image}))
	assert.Equal(t, before, uploads.Load(), "an image that the registry has was uploaded again")
}

func TestTheSameInputsMakeTheSameImage(t *testing.T) {
	ctx := context.Background()
	address, _ := hub(t)
	digest := func(content string) string {
		cache := t.TempDir()
		image := program(t, content)
		require.NoError(t, Assemble(ctx, cache, []Image{image}))
		require.NoError(t, Push(ctx, cache, address, []Image{image}))
		digest, err := pull(t, address+"/library/hello:1").Digest()
		require.NoError(t, err)
		return digest.String()
	}
	first := digest("hello")
	assert.Equal(t, first, digest("hello"))
	assert.NotEqual(t, first, digest("good bye"))
}

func pull(t *testing.T, reference string) v1.Image {
	t.Helper()
	ref, err := name.ParseReference(reference, name.Insecure)
	require.NoError(t, err)
	image, err := remote.Image(ref)
	require.NoError(t, err)
	return image
}

func files(t *testing.T, image v1.Image) map[string]string {
	t.Helper()
	stream := mutate.Extract(image)
	defer stream.Close()
	found := map[string]string{}
	for archive := tar.NewReader(stream); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		content, err := io.ReadAll(archive)
		require.NoError(t, err)
		found[header.Name] = string(content)
		if header.Linkname != "" {
			found[header.Name] = "-> " + header.Linkname
		}
	}
}

// An image of another registry than Docker Hub has its own name in the lab's registry, too.
func TestAnImageOfAnotherRegistryKeepsItsName(t *testing.T) {
	for own, want := range map[string][2]string{
		"busybox:1.35": {"index.docker.io/library/busybox:1.35", "10.0.0.1:5000/library/busybox:1.35"},
		"rancher/mirrored-pause:3.6": {"index.docker.io/rancher/mirrored-pause:3.6",
			"10.0.0.1:5000/rancher/mirrored-pause:3.6"},
		"ghcr.io/owner/operator:1.30": {"ghcr.io/owner/operator:1.30", "10.0.0.1:5000/owner/operator:1.30"},
	} {
		for i, registry := range []string{"", "10.0.0.1:5000"} {
			ref, err := Image{Name: own}.in(registry)
			require.NoError(t, err)
			assert.Equal(t, want[i], ref.Name())
		}
	}
}

func TestTheOperatorFindsItselfByItsArchitecture(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "manager")
	require.NoError(t, os.WriteFile(binary, []byte("the operator"), 0o755))
	operator := cloudNativePG(tools.Binaries{tools.CloudNativePG: binary})
	address, _ := hub(t)
	cache := t.TempDir()
	require.NoError(t, Assemble(t.Context(), cache, []Image{operator}))
	require.NoError(t, Push(t.Context(), cache, address, []Image{operator}))
	pushed := pull(t, address+"/cloudnative-pg/cloudnative-pg:1.30.0")
	program := "operator/manager_" + tools.Architecture
	assert.Equal(t, map[string]string{"operator": "", program: "the operator", "manager": "-> " + program,
		"tmp": ""}, files(t, pushed))
	config, err := pushed.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, "65532:65532", config.Config.User)
}

// The lab runs the operator in the version that it compiles.
func TestTheOperatorIsThePinnedOne(t *testing.T) {
	pins, err := os.ReadFile("../tools/cloudnative-pg/go.mod")
	require.NoError(t, err)
	_, version, _ := strings.Cut(CloudNativePG, ":")
	assert.Contains(t, string(pins), "github.com/cloudnative-pg/cloudnative-pg v"+version+" ")
}

package images

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// docker serves hello:1 for two platforms. tamper may answer in its place.
func docker(t *testing.T, tamper func(w http.ResponseWriter, r *http.Request) bool) (ours v1.Image) {
	t.Helper()
	index := mutate.IndexMediaType(empty.Index, "application/vnd.oci.image.index.v1+json")
	for _, architecture := range []string{"s390x", tools.Architecture} {
		image, err := random.Image(4096, 3)
		require.NoError(t, err)
		config, err := image.ConfigFile()
		require.NoError(t, err)
		config = config.DeepCopy()
		config.OS, config.Architecture = "linux", architecture
		image, err = mutate.ConfigFile(image, config)
		require.NoError(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
		})
		ours = image
	}
	store := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || tamper == nil || !tamper(w, r) {
			store.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "http://")
	ref, err := name.ParseReference(address + "/library/hello:1")
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(ref, index))
	t.Setenv(Setting, address)
	return ours
}

// isLayer reports whether a request is for the image's first layer.
func isLayer(r *http.Request, image v1.Image) (size int64, ok bool) {
	if image == nil { // it is still being uploaded
		return 0, false
	}
	manifest, err := image.Manifest()
	if err != nil {
		panic(err)
	}
	layer := manifest.Layers[0]
	return layer.Size, strings.HasSuffix(r.URL.Path, "/blobs/"+layer.Digest.String())
}

func TestAnImageIsPulledForThisPlatformAlone(t *testing.T) {
	cache := t.TempDir()
	ours := docker(t, nil)
	image := program(t, "assembled")
	require.NoError(t, Pull(t.Context(), cache, []Image{image}))
	assert.Empty(t, Missing(cache, []Image{image}))

	// It is not assembled, and the lab's registry gets it as Docker Hub has it.
	require.NoError(t, Assemble(t.Context(), cache, []Image{image}))
	address, _ := hub(t)
	require.NoError(t, Push(t.Context(), cache, address, []Image{image}))
	want, err := ours.Digest()
	require.NoError(t, err)
	got, err := pull(t, address+"/library/hello:1").Digest()
	require.NoError(t, err)
	assert.Equal(t, want, got)
	blobs, err := filepath.Glob(filepath.Join(image.dir(cache), "blobs", "sha256", "*"))
	require.NoError(t, err)
	assert.Len(t, blobs, 5, "three layers, settings and manifest of one platform")
}

func TestAPullThatBreaksOffIsTriedAgain(t *testing.T) {
	var ours v1.Image
	broken := 0
	ours = docker(t, func(w http.ResponseWriter, r *http.Request) bool {
		size, ok := isLayer(r, ours)
		if !ok || broken == 2 {
			return false
		}
		broken++
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		_, _ = w.Write([]byte("a few bytes"))
		return true
	})
	cache := t.TempDir()
	image := program(t, "assembled")
	require.NoError(t, Pull(t.Context(), cache, []Image{image}))
	assert.Empty(t, Missing(cache, []Image{image}))
	assert.Equal(t, 2, broken)
}

func TestADamagedImageIsAnErrorThatSaysWhatToDo(t *testing.T) {
	var ours v1.Image
	ours = docker(t, func(w http.ResponseWriter, r *http.Request) bool {
		size, ok := isLayer(r, ours)
		if ok {
			_, _ = w.Write(make([]byte, size))
		}
		return ok
	})
	cache := t.TempDir()
	image := program(t, "assembled")
	err := Pull(t.Context(), cache, []Image{image})
	require.ErrorContains(t, err, "pulling the image hello:1: ")
	require.ErrorContains(t, err, "error verifying")
	require.ErrorContains(t, err, "try again, or assemble it instead with STATEFUL_K3S_IMAGES=off")
	left, err := os.ReadDir(filepath.Join(cache, "images"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestWhatDockerHubDoesNotHaveIsAssembled(t *testing.T) {
	image := program(t, "assembled")
	for what, prepare := range map[string]func(){
		"off":          func() { t.Setenv(Setting, Off) },
		"refused":      func() { t.Setenv(Setting, "127.0.0.1:1") },
		"unknown host": func() { t.Setenv(Setting, "nowhere.invalid") },
		"no image":     func() { address, _ := hub(t); t.Setenv(Setting, address) },
		"asked too often": func() {
			docker(t, func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/manifests/") {
					return false
				}
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			})
		},
	} {
		prepare()
		cache := t.TempDir()
		require.NoError(t, Pull(t.Context(), cache, []Image{image}), what)
		assert.Len(t, Missing(cache, []Image{image}), 1, what)
		require.NoError(t, Assemble(t.Context(), cache, []Image{image}), what)
		assert.Empty(t, Missing(cache, []Image{image}), what)
	}
}

func TestASettingThatIsNoRegistryIsAnError(t *testing.T) {
	t.Setenv(Setting, "https://mirror.example.com")
	err := Pull(t.Context(), t.TempDir(), []Image{program(t, "assembled")})
	require.ErrorContains(t, err,
		`STATEFUL_K3S_IMAGES: "https://mirror.example.com" is neither a registry's host nor "off"`)
}

package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pack returns a package as a registry has it, with one file, and its integrity.
func pack(t *testing.T, content string) (archive []byte, integrity string) {
	t.Helper()
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	files := tar.NewWriter(compressed)
	for name, content := range map[string]string{"package/lib/index.js": content, "package/package.json": "{}"} {
		require.NoError(t, files.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}))
		_, err := files.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, files.Close())
	require.NoError(t, compressed.Close())
	sum := sha512.Sum512(packed.Bytes())
	return packed.Bytes(), "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

// serve starts a registry with one package, names it in npm's variable and counts downloads.
func serve(t *testing.T, path string, archive []byte) (address string, downloads *int) {
	t.Helper()
	downloads = new(int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			http.NotFound(w, r)
			return
		}
		*downloads++
		_, _ = w.Write(archive)
	}))
	t.Cleanup(server.Close)
	t.Setenv("NPM_CONFIG_REGISTRY", "")
	t.Setenv("npm_config_registry", server.URL+"/")
	return server.URL, downloads
}

const index = "lib/index.js"

func TestFileIsDownloadedOnce(t *testing.T) {
	archive, integrity := pack(t, "let axe")
	_, downloads := serve(t, "/@deque/axe/-/axe-1.2.3.tgz", archive)
	p := Package{"@deque/axe", "1.2.3", integrity}
	cache := filepath.Join(t.TempDir(), "cache")
	for range 2 {
		content, err := p.File(t.Context(), cache, index)
		require.NoError(t, err)
		assert.Equal(t, "let axe", string(content))
	}
	assert.Equal(t, 1, *downloads)
	assert.FileExists(t, filepath.Join(cache, "axe-1.2.3.tgz"))
}

func TestRegistryOfNpmItself(t *testing.T) {
	archive, integrity := pack(t, "let axe")
	address, _ := serve(t, "/axe/-/axe-1.2.3.tgz", archive)
	t.Setenv("npm_config_registry", "")
	p, bin := Package{"axe", "1.2.3", integrity}, t.TempDir()
	t.Setenv("PATH", bin)
	_, err := p.File(t.Context(), t.TempDir(), index)
	require.ErrorContains(t, err, "set npm_config_registry to its address, or install npm")

	script := "#!/bin/sh\ntest \"$*\" = 'config get registry' && echo " + address + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "npm"), []byte(script), 0o755))
	content, err := p.File(t.Context(), t.TempDir(), index)
	require.NoError(t, err)
	assert.Equal(t, "let axe", string(content))
}

func TestDamagedPackages(t *testing.T) {
	damaged, got := pack(t, "evil")
	whole, integrity := pack(t, "let axe")
	const path = "/axe/-/axe-1.2.3.tgz"
	p, cache := Package{"axe", "1.2.3", integrity}, t.TempDir()
	serve(t, path, damaged)
	_, err := p.File(t.Context(), cache, index)
	require.ErrorContains(t, err, path+": its integrity is "+got+" instead of "+integrity+
		": it was changed or damaged on its way")
	assert.NoFileExists(t, filepath.Join(cache, "axe-1.2.3.tgz"))

	require.NoError(t, os.WriteFile(filepath.Join(cache, "axe-1.2.3.tgz"), whole[:len(whole)-1], 0o644))
	serve(t, path, whole)
	content, err := p.File(t.Context(), cache, index)
	require.NoError(t, err, "the cache has a part of it")
	assert.Equal(t, "let axe", string(content))
}

func TestWhatIsMissing(t *testing.T) {
	archive, integrity := pack(t, "let axe")
	serve(t, "/axe/-/axe-1.2.3.tgz", archive)
	_, err := Package{"axe", "1.2.4", integrity}.File(t.Context(), t.TempDir(), index)
	require.ErrorContains(t, err, "get axe 1.2.4 of npm: ")
	require.ErrorContains(t, err, "/axe/-/axe-1.2.4.tgz answers 404 Not Found: is the registry out of reach? "+
		"npm_config_registry can name another")
	_, err = Package{"axe", "1.2.3", integrity}.File(t.Context(), t.TempDir(), "lib/main.js")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "unpack lib/main.js of npm's axe 1.2.3: ")
}

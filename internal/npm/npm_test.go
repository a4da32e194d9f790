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

// pack is a package as the registry has it, with one file in it.
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

// serve is a registry that has one file, and is what npm's variable names. It counts downloads.
func serve(t *testing.T, variable, path string, archive []byte) (downloads *int) {
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
	t.Setenv("npm_config_registry", "")
	t.Setenv("NPM_CONFIG_REGISTRY", "")
	t.Setenv(variable, server.URL+"/")
	return downloads
}

func TestAFileIsDownloadedOnce(t *testing.T) {
	for _, variable := range []string{"npm_config_registry", "NPM_CONFIG_REGISTRY"} {
		archive, integrity := pack(t, "let axe")
		downloads := serve(t, variable, "/@deque/axe/-/axe-1.2.3.tgz", archive)
		p, cache := Package{Name: "@deque/axe", Version: "1.2.3", Integrity: integrity},
			filepath.Join(t.TempDir(), "cache")
		for range 2 {
			content, err := p.File(t.Context(), cache, "lib/index.js")
			require.NoError(t, err)
			assert.Equal(t, "let axe", string(content))
		}
		assert.Equal(t, 1, *downloads)
		assert.Equal(t, []string{"axe-1.2.3.tgz"}, list(t, cache))
	}
}

func TestNpmIsAskedForTheRegistry(t *testing.T) {
	archive, integrity := pack(t, "let axe")
	serve(t, "npm_config_registry", "/axe/-/axe-1.2.3.tgz", archive)
	address := os.Getenv("npm_config_registry")
	t.Setenv("npm_config_registry", "")
	p, bin := Package{Name: "axe", Version: "1.2.3", Integrity: integrity}, t.TempDir()
	t.Setenv("PATH", bin)
	_, err := p.File(t.Context(), t.TempDir(), "lib/index.js")
	require.ErrorContains(t, err, "set npm_config_registry to its address, or install npm")

	script := "#!/bin/sh\ntest \"$*\" = 'config get registry' && echo " + address + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "npm"), []byte(script), 0o755))
	content, err := p.File(t.Context(), t.TempDir(), "lib/index.js")
	require.NoError(t, err)
	assert.Equal(t, "let axe", string(content))
}

func TestADamagedPackageIsRefusedAndNotKept(t *testing.T) {
	damaged, got := pack(t, "evil")
	whole, integrity := pack(t, "let axe")
	serve(t, "npm_config_registry", "/axe/-/axe-1.2.3.tgz", damaged)
	p, cache := Package{Name: "axe", Version: "1.2.3", Integrity: integrity}, t.TempDir()
	_, err := p.File(t.Context(), cache, "lib/index.js")
	require.ErrorContains(t, err, "/axe/-/axe-1.2.3.tgz: its integrity is "+got+" instead of "+integrity+
		": it was changed or damaged on its way")
	assert.Empty(t, list(t, cache))

	require.NoError(t, os.WriteFile(filepath.Join(cache, "axe-1.2.3.tgz"), whole[:len(whole)-1], 0o644))
	downloads := serve(t, "npm_config_registry", "/axe/-/axe-1.2.3.tgz", whole)
	content, err := p.File(t.Context(), cache, "lib/index.js")
	require.NoError(t, err, "half of it was kept")
	assert.Equal(t, "let axe", string(content))
	assert.Equal(t, 1, *downloads)
}

func TestWhatIsNotToBeHadIsSaid(t *testing.T) {
	archive, integrity := pack(t, "let axe")
	serve(t, "npm_config_registry", "/axe/-/axe-1.2.3.tgz", archive)
	_, err := Package{Name: "axe", Version: "1.2.4", Integrity: integrity}.File(t.Context(), t.TempDir(),
		"lib/index.js")
	require.ErrorContains(t, err, "get axe 1.2.4 of npm: ")
	require.ErrorContains(t, err,
		"/axe/-/axe-1.2.4.tgz answers 404 Not Found: is the registry out of reach? npm_config_registry can name another")

	_, err = Package{Name: "axe", Version: "1.2.3", Integrity: integrity}.File(t.Context(), t.TempDir(),
		"lib/main.js")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "unpack lib/main.js of npm's axe 1.2.3: ")
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

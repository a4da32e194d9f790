package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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

// installNpm puts an npm on the PATH that can pack axe 1.2.3, and counts its runs in a file.
func installNpm(t *testing.T, archive []byte) (runs string) {
	t.Helper()
	bin := t.TempDir()
	runs = filepath.Join(bin, "runs")
	require.NoError(t, os.WriteFile(filepath.Join(bin, "axe.tgz"), archive, 0o644))
	script := `#!/bin/sh
echo "$*" >> ` + runs + `
test "$1 $2 $4" = "pack --pack-destination axe@1.2.3" || { echo E404; exit 1; }
cp ` + bin + `/axe.tgz "$3/axe-1.2.3.tgz"
`
	require.NoError(t, os.WriteFile(filepath.Join(bin, "npm"), []byte(script), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	return runs
}

const index = "lib/index.js"

func TestFileIsDownloadedOnce(t *testing.T) {
	archive, integrity := pack(t, "let axe")
	runs := installNpm(t, archive)
	cache := filepath.Join(t.TempDir(), "cache")
	get := func() string {
		content, err := Package{"axe", "1.2.3", integrity}.File(t.Context(), cache, index)
		require.NoError(t, err)
		return string(content)
	}
	assert.Equal(t, "let axe", get())
	assert.Equal(t, "let axe", get())
	log, err := os.ReadFile(runs)
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(log), "\n"))

	require.NoError(t, os.Truncate(filepath.Join(cache, "axe-1.2.3.tgz"), 10))
	assert.Equal(t, "let axe", get(), "the cache has a part of it")
}

func TestDamagedPackage(t *testing.T) {
	archive, got := pack(t, "evil")
	_, integrity := pack(t, "let axe")
	installNpm(t, archive)
	_, err := Package{"axe", "1.2.3", integrity}.File(t.Context(), t.TempDir(), index)
	require.ErrorContains(t, err, "its integrity is "+got+" instead of "+integrity+
		": it was changed or damaged on its way")
}

func TestWhatIsMissing(t *testing.T) {
	archive, integrity := pack(t, "let axe")
	installNpm(t, archive)
	_, err := Package{"axe", "1.2.4", integrity}.File(t.Context(), t.TempDir(), index)
	require.ErrorContains(t, err, "get axe 1.2.4 of npm: npm pack --pack-destination ")
	require.ErrorContains(t, err, "E404\nIs npm installed, and the registry in reach?")
	_, err = Package{"axe", "1.2.3", integrity}.File(t.Context(), t.TempDir(), "lib/main.js")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "unpack lib/main.js of npm's axe 1.2.3: ")
}

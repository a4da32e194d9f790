package images

import (
	"archive/tar"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestAnExtractedImageIsARootDirectory(t *testing.T) {
	cache := t.TempDir()
	image := program(t, "hello")
	_, err := image.Tree(cache)
	require.Error(t, err, "the cache has no such image")
	require.NoError(t, Assemble(t.Context(), cache, []Image{image}))
	require.NoError(t, image.Extract(t.Context(), cache))

	tree, err := image.Tree(cache)
	require.NoError(t, err)
	for path, want := range map[string]string{
		"hi": "hello", "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
	} {
		content, err := os.ReadFile(filepath.Join(tree, path))
		require.NoError(t, err)
		assert.Equal(t, want, string(content))
	}
	for path, mode := range map[string]os.FileMode{
		".": os.ModeDir | 0o755, "hello": 0o755, "etc/hosts": 0o644, "tmp": os.ModeDir | os.ModeSticky | 0o777,
		"dev/shm":     os.ModeDir | os.ModeSticky | 0o777,
		"dev/null":    os.ModeDevice | os.ModeCharDevice | 0o666,
		"dev/urandom": os.ModeDevice | os.ModeCharDevice | 0o666,
	} {
		info, err := os.Stat(filepath.Join(tree, path))
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode(), path)
	}
}

func TestAnExtractionThatFailsLeavesNothing(t *testing.T) {
	cache := t.TempDir()
	image := program(t, "hello")
	require.NoError(t, Assemble(t.Context(), cache, []Image{image}))

	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, image.Extract(stopped, cache),
		"extracting the image hello:1: tar: context canceled")

	blobs, err := filepath.Glob(filepath.Join(image.dir(cache), "blobs", "sha256", "*"))
	require.NoError(t, err)
	for _, blob := range blobs {
		content, err := os.ReadFile(blob)
		require.NoError(t, err)
		if len(content) > 1 && content[0] == 0x1f && content[1] == 0x8b { // gzip: it is the layer
			require.NoError(t, os.Truncate(blob, int64(len(content)/2)))
		}
	}
	require.ErrorContains(t, image.Extract(t.Context(), cache), "extracting the image hello:1: ")
	left, err := os.ReadDir(filepath.Join(cache, "trees"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestExtractedFilesKeepTheirOwners(t *testing.T) {
	cache := t.TempDir()
	image := program(t, "hello")
	image.write = func(_ context.Context, to io.Writer) error {
		archive := tar.NewWriter(to)
		if err := archive.WriteHeader(&tar.Header{Name: "data/", Typeflag: tar.TypeDir, Mode: 0o700, Uid: 999,
			Gid: 998, Uname: "root", Gname: "root"}); err != nil {
			return err
		}
		return archive.Close()
	}
	require.NoError(t, Assemble(t.Context(), cache, []Image{image}))
	require.NoError(t, image.Extract(t.Context(), cache))
	tree, err := image.Tree(cache)
	require.NoError(t, err)
	var data unix.Stat_t
	require.NoError(t, unix.Stat(filepath.Join(tree, "data"), &data))
	assert.Equal(t, [2]uint32{999, 998}, [2]uint32{data.Uid, data.Gid})
}

// An image that links its files elsewhere changes none of this machine's.
func TestLinksOfAnImageLeadNowhere(t *testing.T) {
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "hosts"), []byte("before"), 0o644))
	cache := t.TempDir()
	image := program(t, "hello")
	image.write = scratch(file{path: "etc", mode: 0o777, link: outside})
	require.NoError(t, Assemble(t.Context(), cache, []Image{image}))
	require.Error(t, image.Extract(t.Context(), cache))
	content, err := os.ReadFile(filepath.Join(outside, "hosts"))
	require.NoError(t, err)
	assert.Equal(t, "before", string(content))
}

func TestMain(m *testing.M) {
	unix.Umask(0o077) // a user's, under which the files of an image must keep their modes
	os.Exit(m.Run())
}

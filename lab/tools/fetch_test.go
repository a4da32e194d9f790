package tools

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/releases"
)

// greeting is a program that says its version, and then what it greets with.
func greeting(t *testing.T, version, says string) []byte {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	main := fmt.Sprintf("package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(%q) }\n", version+"\n"+says)
	require.NoError(t, os.WriteFile(source, []byte(main), 0o644))
	output := filepath.Join(dir, "greeting")
	out, err := exec.Command("go", "build", "-o", output, source).CombinedOutput()
	require.NoError(t, err, string(out))
	content, err := os.ReadFile(output)
	require.NoError(t, err)
	return content
}

// fetching is a project that publishes the tool hello with another one beside it.
type fetching struct {
	cache, modules string
	tools          []Tool
	from           []Publication
}

func newFetching(t *testing.T) fetching {
	t.Helper()
	t.Setenv("PATH", "/usr/bin:/bin:"+filepath.Dir(goCommand(t)))
	t.Setenv(releases.Setting, releases.Off)
	f := fetching{cache: warmCache(t), modules: t.TempDir()}
	compiled := hello(t, f.modules, "compiled")
	beside := compiled
	beside.Name = "hello-plugin"
	f.tools = []Tool{compiled, beside}
	f.from = []Publication{{
		Release: releases.Release{Repository: "example.com/greetings/hello", Tag: "v1.0.0"},
		File:    releases.File{Name: "hello-linux.tar.gz", Checksums: []string{"checksums.txt"}},
		Tools:   []Member{{"hello", "hello/bin/hello"}, {"hello-plugin", "hello/hello-plugin"}},
		version: "version", says: "v1.0.0", Form: Archive,
	}}
	return f
}

func goCommand(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("go")
	require.NoError(t, err)
	return path
}

// publish serves a file as the release of hello.
func (f fetching) publish(t *testing.T, content, published []byte) {
	t.Helper()
	mux := http.NewServeMux()
	base := "/greetings/hello/releases/download/v1.0.0/"
	mux.HandleFunc(base+"hello-linux.tar.gz", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
	mux.HandleFunc(base+"checksums.txt", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%x  hello-linux.tar.gz\n", sha256.Sum256(published))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Setenv(releases.Setting, server.URL)
}

func tarball(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var compressed bytes.Buffer
	stream := gzip.NewWriter(&compressed)
	archive := tar.NewWriter(stream)
	for name, content := range files {
		require.NoError(t, archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)),
			Typeflag: tar.TypeReg}))
		_, err := archive.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	require.NoError(t, stream.Close())
	return compressed.Bytes()
}

func (f fetching) fetch(t *testing.T) (have Binaries, left []Tool) {
	t.Helper()
	left, err := fetch(t.Context(), f.cache, f.modules, f.tools, f.from)
	require.NoError(t, err)
	have, missing, err := Cached(f.cache, f.modules, f.tools)
	require.NoError(t, err)
	assert.Equal(t, missing, left)
	leftovers, err := filepath.Glob(filepath.Join(f.cache, "releases", "*", "*"))
	require.NoError(t, err)
	assert.Empty(t, leftovers)
	return have, left
}

func TestAReleaseIsTakenBeforeItIsCompiled(t *testing.T) {
	f := newFetching(t)
	content := tarball(t, map[string][]byte{
		"./hello/bin/hello":  greeting(t, "v1.0.0", "released"),
		"hello/hello-plugin": greeting(t, "v1.0.0", "plugged"), "hello/README": nil,
	})
	f.publish(t, content, content)
	have, left := f.fetch(t)
	assert.Empty(t, left)
	assert.Contains(t, say(t, have["hello"]), "released")
	assert.Contains(t, say(t, have["hello-plugin"]), "plugged")

	built, err := Build(t.Context(), f.cache, f.modules, f.tools)
	require.NoError(t, err)
	assert.Contains(t, say(t, built["hello"]), "released", "it was compiled nevertheless")
}

func TestThePinnedVersionOnPathIsTakenBeforeARelease(t *testing.T) {
	f := newFetching(t)
	content := tarball(t, map[string][]byte{"hello/bin/hello": nil, "hello/hello-plugin": nil})
	f.publish(t, content, content)
	other, script, pinned := t.TempDir(), t.TempDir(), t.TempDir()
	plugin := greeting(t, "", "plugged")
	for dir, program := range map[string][]byte{
		other: greeting(t, "v1.0.0-rc1", "another"), script: []byte("#!/bin/sh\necho v1.0.0\n"),
		pinned: greeting(t, "hello v1.0.0", "found"),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "hello"), program, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "hello-plugin"), plugin, 0o755))
	}
	links := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(pinned, "hello"), filepath.Join(links, "hello")))
	t.Setenv("PATH", strings.Join([]string{other, script, links, os.Getenv("PATH")}, ":"))

	have, left := f.fetch(t)
	assert.Empty(t, left)
	assert.Contains(t, say(t, have["hello"]), "found")
	require.NoError(t, os.RemoveAll(pinned))
	assert.Contains(t, say(t, have["hello-plugin"]), "plugged", "what the user removes is gone from the cache")
}

func TestWhatIsIncompleteOnPathIsNotTaken(t *testing.T) {
	f := newFetching(t)
	alone := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(alone, "hello"), greeting(t, "v1.0.0", "found"), 0o755))
	t.Setenv("PATH", alone+":"+os.Getenv("PATH"))
	_, left := f.fetch(t)
	assert.Len(t, left, 2)
}

func TestWhatIsNotToBeHadIsCompiled(t *testing.T) {
	f := newFetching(t)
	for _, setting := range []string{releases.Off, "http://127.0.0.1:1"} {
		t.Setenv(releases.Setting, setting)
		_, left := f.fetch(t)
		assert.Equal(t, f.tools, left, setting)
	}
	built, err := Build(t.Context(), f.cache, f.modules, f.tools)
	require.NoError(t, err)
	assert.Contains(t, say(t, built["hello"]), "compiled")
}

func TestADamagedReleaseIsNoReasonToCompile(t *testing.T) {
	f := newFetching(t)
	whole := tarball(t, map[string][]byte{"hello/bin/hello": []byte("\x7fELF"), "hello/hello-plugin": nil})
	incomplete := tarball(t, map[string][]byte{"hello/bin/hello": nil})
	page := []byte("<html>no archive at all</html>")
	for what, release := range map[string]struct{ content, published []byte }{
		"hello-linux.tar.gz has the SHA-256 checksum":                       {whole[:len(whole)-1], whole},
		"hello-linux.tar.gz: it lacks map[hello/hello-plugin:hello-plugin]": {incomplete, incomplete},
		"hello-linux.tar.gz: gzip: invalid header":                          {page, page},
	} {
		f.publish(t, release.content, release.published)
		_, err := fetch(t.Context(), f.cache, f.modules, f.tools, f.from)
		require.ErrorContains(t, err, "getting hello and hello-plugin: ")
		require.ErrorContains(t, err, what)
		have, _, err := Cached(f.cache, f.modules, f.tools)
		require.NoError(t, err)
		assert.Empty(t, have, what)
	}
}

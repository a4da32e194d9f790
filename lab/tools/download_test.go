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

// greeting returns a program that prints its version, and then a text.
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

// fixture is a store with the tool hello and another one beside it, both published by one project.
type fixture struct {
	Store
	tools []Tool
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	t.Setenv("PATH", "/usr/bin:/bin:"+filepath.Dir(goCommand(t)))
	t.Setenv(releases.Setting, releases.Off)
	s := Store{Cache: warmCache(t), Modules: t.TempDir(), releases: []Release{{
		Asset: releases.Asset{
			Repository: "example.com/greetings/hello", Tag: "v1.0.0",
			Name: "hello-linux.tar.gz", Checksums: []string{"checksums.txt"},
		},
		Tools:      []Member{{"hello", "hello/bin/hello"}, {"hello-plugin", "hello/hello-plugin"}},
		AskVersion: "version", Says: "v1.0.0",
	}}}
	hello := helloTool(t, s.Modules, "compiled")
	plugin := hello
	plugin.Name = "hello-plugin"
	return fixture{s, []Tool{hello, plugin}}
}

func goCommand(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("go")
	require.NoError(t, err)
	return path
}

// publish serves content as the release of hello, with the checksum of published.
func publish(t *testing.T, content, published []byte) {
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

// get returns what each tool says. It fails the test if one is compiled, unless that is expected.
func (f fixture) get(t *testing.T, compiles bool) map[string]string {
	t.Helper()
	asked := false
	require.NoError(t, f.Get(t.Context(), f.tools, func() error { asked = true; return nil }))
	assert.Equal(t, compiles, asked, "compiled")
	found, missing, err := f.Find(f.tools)
	require.NoError(t, err)
	require.Empty(t, missing)
	leftovers, err := filepath.Glob(filepath.Join(f.Cache, "releases", "*"))
	require.NoError(t, err)
	assert.Empty(t, leftovers)
	says := map[string]string{}
	for name, path := range found {
		says[name] = say(t, path)
	}
	return says
}

func TestAReleaseIsTakenBeforeItIsCompiled(t *testing.T) {
	f := newFixture(t)
	content := tarball(t, map[string][]byte{
		"./hello/bin/hello":  greeting(t, "v1.0.0", "released"),
		"hello/hello-plugin": greeting(t, "v1.0.0", "plugged"), "hello/README": nil,
	})
	publish(t, content, content)
	says := f.get(t, false)
	assert.Contains(t, says["hello"], "released")
	assert.Contains(t, says["hello-plugin"], "plugged")
}

func TestThePinnedVersionOnPathIsTakenBeforeARelease(t *testing.T) {
	f := newFixture(t)
	content := tarball(t, map[string][]byte{"hello/bin/hello": nil, "hello/hello-plugin": nil})
	publish(t, content, content)
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

	assert.Contains(t, f.get(t, false)["hello"], "found")
	require.NoError(t, os.RemoveAll(pinned))
	assert.Contains(t, f.get(t, false)["hello-plugin"], "plugged", "the user's removal emptied the cache")
}

func TestAnIncompleteInstallationOnPathIsNotTaken(t *testing.T) {
	f := newFixture(t)
	alone := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(alone, "hello"), greeting(t, "v1.0.0", "found"), 0o755))
	t.Setenv("PATH", alone+":"+os.Getenv("PATH"))
	require.NoError(t, f.copyFromPath(t.Context(), f.tools))
	_, missing, err := f.Find(f.tools)
	require.NoError(t, err)
	assert.Len(t, missing, 2)
}

func TestWithoutAReleaseToolsAreCompiled(t *testing.T) {
	for _, setting := range []string{releases.Off, "http://127.0.0.1:1"} {
		t.Run(setting, func(t *testing.T) {
			f := newFixture(t)
			t.Setenv(releases.Setting, setting)
			assert.Contains(t, f.get(t, true)["hello"], "compiled")
		})
	}
}

func TestADamagedReleaseIsNoReasonToCompile(t *testing.T) {
	whole := tarball(t, map[string][]byte{"hello/bin/hello": []byte("\x7fELF"), "hello/hello-plugin": nil})
	incomplete := tarball(t, map[string][]byte{"hello/bin/hello": nil})
	page := []byte("<html>no archive at all</html>")
	for message, release := range map[string]struct{ content, published []byte }{
		"hello-linux.tar.gz has the SHA-256 checksum":                       {whole[:len(whole)-1], whole},
		"hello-linux.tar.gz: it lacks map[hello/hello-plugin:hello-plugin]": {incomplete, incomplete},
		"hello-linux.tar.gz: gzip: invalid header":                          {page, page},
	} {
		t.Run(message, func(t *testing.T) {
			f := newFixture(t)
			publish(t, release.content, release.published)
			err := f.Get(t.Context(), f.tools, func() error { t.Error("it compiles"); return nil })
			require.ErrorContains(t, err, "getting hello and hello-plugin: ")
			require.ErrorContains(t, err, message)
			found, _, err := f.Find(f.tools)
			require.NoError(t, err)
			assert.Empty(t, found)
		})
	}
}

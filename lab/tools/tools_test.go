package tools

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hello is a module without dependencies, so that it compiles at once.
func hello(t *testing.T, modules, says string) Tool {
	t.Helper()
	dir := filepath.Join(modules, "hello")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module hello\n\ngo 1.26\n"), 0o644))
	main := "package main\n\nvar greeting = \"unset\"\n\nfunc main() { print(greeting, \"" + says + "\") }\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(main), 0o644))
	return Tool{Name: "hello", Module: "hello", Package: ".",
		Variables: map[string]string{"main.greeting": "hello-"}}
}

func say(t *testing.T, binary string) string {
	t.Helper()
	out, err := exec.Command(binary).CombinedOutput()
	require.NoError(t, err)
	return string(out)
}

func TestAToolIsCompiledOnceForWhatItIsBuiltFrom(t *testing.T) {
	cache, modules := warmCache(t), t.TempDir()
	tool := hello(t, modules, "world")

	_, missing, err := Cached(cache, modules, []Tool{tool})
	require.NoError(t, err)
	require.Equal(t, []Tool{tool}, missing)

	first, err := Build(context.Background(), cache, modules, []Tool{tool})
	require.NoError(t, err)
	assert.Equal(t, "hello-world", say(t, first["hello"]))

	built, err := os.Stat(first["hello"])
	require.NoError(t, err)
	again, err := Build(context.Background(), cache, modules, []Tool{tool})
	require.NoError(t, err)
	rebuilt, err := os.Stat(again["hello"])
	require.NoError(t, err)
	assert.Equal(t, built.ModTime(), rebuilt.ModTime(), "compiled a second time")

	changed, err := Build(context.Background(), cache, modules, []Tool{hello(t, modules, "moon")})
	require.NoError(t, err)
	assert.NotEqual(t, first["hello"], changed["hello"])
	assert.Equal(t, "hello-moon", say(t, changed["hello"]))
	assert.Equal(t, "hello-world", say(t, first["hello"]), "the other checkout's binary is gone")
}

func TestAFlagOrAPinChangesTheKey(t *testing.T) {
	modules := t.TempDir()
	tool := hello(t, modules, "world")
	path, err := tool.path("/cache", modules)
	require.NoError(t, err)

	tagged := tool
	tagged.Tags = []string{"seccomp"}
	withTag, err := tagged.path("/cache", modules)
	require.NoError(t, err)
	assert.NotEqual(t, path, withTag)

	require.NoError(t, os.WriteFile(filepath.Join(modules, "hello", "go.sum"), []byte("x v1.0.0 h1:0=\n"),
		0o644))
	withSum, err := tool.path("/cache", modules)
	require.NoError(t, err)
	assert.NotEqual(t, path, withSum)
}

func TestAStubChangesTheKey(t *testing.T) {
	modules := t.TempDir()
	tool := hello(t, modules, "world")
	tool.Trimmed = []trimmed{{module: "example.org/hello"}}
	stub := filepath.Join(modules, "hello", "stubs", "stub", "stub.go")
	require.NoError(t, os.MkdirAll(filepath.Dir(stub), 0o755))

	keys := map[string]bool{}
	for _, content := range []string{"package stub\n", "package stub\n\nfunc Stub() {}\n"} {
		require.NoError(t, os.WriteFile(stub, []byte(content), 0o644))
		path, err := tool.path("/cache", modules)
		require.NoError(t, err)
		keys[path] = true
	}
	assert.Len(t, keys, 2)
}

func TestWhatWasLeftByAnInterruptedCompilationIsNotTaken(t *testing.T) {
	cache, modules := warmCache(t), t.TempDir()
	tool := hello(t, modules, "world")
	path, err := tool.path(cache, modules)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path+".partial", []byte("half a binary"), 0o755))

	have, err := Build(context.Background(), cache, modules, []Tool{tool})
	require.NoError(t, err)
	assert.Equal(t, "hello-world", say(t, have["hello"]))
}

func TestAFailureNamesTheToolAndWhatTheCompilerSaid(t *testing.T) {
	cache, modules := warmCache(t), t.TempDir()
	tool := hello(t, modules, `" + missing + "`)
	_, err := Build(context.Background(), cache, modules, []Tool{tool})
	require.ErrorContains(t, err, "compiling hello: go build")
	require.ErrorContains(t, err, "undefined: missing")
}

func TestEveryToolIsPinned(t *testing.T) {
	for _, tool := range All {
		if tool.Name == "pause" { // nothing but the standard library
			continue
		}
		assert.FileExists(t, filepath.Join(tool.Module, "go.sum"), tool.Name)
		if !strings.HasPrefix(tool.Package, ".") {
			content, err := os.ReadFile(filepath.Join(tool.Module, "go.mod"))
			require.NoError(t, err)
			assert.Regexp(t, `(?m)^(tool |\t)`+regexp.QuoteMeta(tool.Package)+"$", string(content),
				"make vulnerabilities would not see it")
		}
	}
}

// gofmt aligns comments, so a pattern with one space before them finds the longest version only.
func TestRenovateFindsEveryVersion(t *testing.T) {
	content, err := os.ReadFile("../../renovate.json")
	require.NoError(t, err)
	var settings struct {
		CustomManagers []struct {
			DatasourceTemplate                string
			ManagerFilePatterns, MatchStrings []string
		}
	}
	require.NoError(t, json.Unmarshal(content, &settings))
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	marked, found := 0, 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		marked += strings.Count(string(content), "// renovate: ")
		for _, manager := range settings.CustomManagers {
			pattern := regexp.MustCompile(strings.Trim(manager.ManagerFilePatterns[0], "/"))
			if manager.DatasourceTemplate == "github-releases" && pattern.MatchString("lab/tools/"+file) {
				found += len(regexp.MustCompile(manager.MatchStrings[0]).FindAll(content, -1))
			}
		}
	}
	assert.Greater(t, marked, 5)
	assert.Equal(t, marked, found)
}

package tools

import (
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

// helloTool makes a module without dependencies, which compiles in a moment.
func helloTool(t *testing.T, modules, says string) Tool {
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

// compiled compiles the tool and returns its path.
func compiled(t *testing.T, s Store, tool Tool) string {
	t.Helper()
	require.NoError(t, s.compile(t.Context(), []Tool{tool}))
	found, _, err := s.Find([]Tool{tool})
	require.NoError(t, err)
	require.Contains(t, found, tool.Name)
	return found[tool.Name]
}

func TestAToolIsCompiledOncePerSource(t *testing.T) {
	s := Store{Cache: warmCache(t), Modules: t.TempDir()}
	tool := helloTool(t, s.Modules, "world")
	first := compiled(t, s, tool)
	assert.Equal(t, "hello-world", say(t, first))

	before, err := os.Stat(first)
	require.NoError(t, err)
	after, err := os.Stat(compiled(t, s, tool))
	require.NoError(t, err)
	assert.Equal(t, before.ModTime(), after.ModTime(), "compiled a second time")

	changed := compiled(t, s, helloTool(t, s.Modules, "moon"))
	assert.NotEqual(t, first, changed)
	assert.Equal(t, "hello-moon", say(t, changed))
	assert.Equal(t, "hello-world", say(t, first), "the other checkout's binary is gone")
}

func TestWhatAToolIsBuiltFromNamesIt(t *testing.T) {
	s := Store{Cache: "/cache", Modules: t.TempDir()}
	plain := helloTool(t, s.Modules, "world")
	tagged, trimmedTool := plain, plain
	tagged.Tags = []string{"seccomp"}
	trimmedTool.Trimmed = []trimmed{{module: "example.org/hello"}}
	write := func(path, content string) {
		path = filepath.Join(s.Modules, "hello", path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	write("stubs/stub/stub.go", "package stub\n")
	seen := map[string]string{}
	for _, variant := range []struct {
		name   string
		tool   Tool
		change func()
	}{
		{"first", plain, func() {}},
		{"a flag", tagged, func() {}},
		{"a pin", plain, func() { write("go.sum", "x v1.0.0 h1:0=\n") }},
		{"trimmed", trimmedTool, func() {}},
		{"a stub", trimmedTool, func() { write("stubs/stub/stub.go", "package stub\n\nfunc Stub() {}\n") }},
	} {
		variant.change()
		path, err := s.path(variant.tool)
		require.NoError(t, err)
		assert.Empty(t, seen[path], variant.name)
		seen[path] = variant.name
	}
}

func TestAFailureNamesTheToolAndTheCompilersError(t *testing.T) {
	s := Store{Cache: warmCache(t), Modules: t.TempDir()}
	err := s.compile(t.Context(), []Tool{helloTool(t, s.Modules, `" + missing + "`)})
	require.ErrorContains(t, err, "compiling hello: go build")
	require.ErrorContains(t, err, "undefined: missing")
}

func TestGoSaysWhyAModuleIsNotFound(t *testing.T) {
	modules := t.TempDir()
	helloTool(t, modules, "world")
	_, err := ModuleDir(t.Context(), filepath.Join(modules, "hello"), "example.org/nowhere")
	require.ErrorContains(t, err, "looking up the version of example.org/nowhere in ")
	require.ErrorContains(t, err, "not a known dependency")
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

// gofmt aligns comments: the pattern must allow several spaces before them.
func TestRenovateFindsEveryVersion(t *testing.T) {
	content, err := os.ReadFile("../../renovate.json")
	require.NoError(t, err)
	var settings struct {
		CustomManagers []struct{ ManagerFilePatterns, MatchStrings []string }
	}
	require.NoError(t, json.Unmarshal(content, &settings))
	found := 0
	for _, file := range []string{"versions.go", "published.go"} {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, manager := range settings.CustomManagers {
			if regexp.MustCompile(strings.Trim(manager.ManagerFilePatterns[0], "/")).MatchString("lab/tools/" + file) {
				found += len(regexp.MustCompile(manager.MatchStrings[0]).FindAll(content, -1))
			}
		}
	}
	assert.Equal(t, 9, found)
}

package gobuild

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPackagesAreCounted(t *testing.T) {
	var r report
	say := func(output string) string {
		t.Helper()
		_, err := r.Write([]byte(output))
		require.NoError(t, err)
		return r.progress()
	}
	assert.Empty(t, r.progress())
	assert.Equal(t, "2 modules downloaded",
		say("go: downloading a.example/b v1.0.0\ngo: downloading a.example/c v1.0.0\n"))
	assert.Equal(t, "2 modules downloaded", say("inter"), "half a line")
	assert.Equal(t, "2 packages", say("nal/cpu\nerrors\n"))
	r.expect(4)
	assert.Equal(t, "2 of 4 packages", say("# a.example/b\na.example/b/b.go:3:1: syntax error\n"))
	assert.Equal(t, "4 packages, linking", say("fmt\na.example/b\n"))
	assert.Equal(t, "# a.example/b\na.example/b/b.go:3:1: syntax error\n", r.errors.String())
}

// module makes a module with a main package and another one.
func module(t *testing.T, main string) (b Build) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "other"), 0o755))
	for name, content := range map[string]string{"go.mod": "module own\n", "main.go": main,
		"other/other.go": "package other\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	return Build{Name: "own", Dir: dir, Env: append(os.Environ(), "GOWORK=off"),
		Output: filepath.Join(dir, "own"), Package: "."}
}

func TestGoTellsWhatItHasToCompile(t *testing.T) {
	b := module(t, "package main\n\nimport _ \"own/other\"\n\nfunc main() { print(\"hello\") }\n")
	before := b.stale(t.Context())
	assert.GreaterOrEqual(t, before, 2)
	require.NoError(t, b.Run(t.Context()))
	said, err := exec.Command(b.Output).CombinedOutput()
	require.NoError(t, err)
	assert.Equal(t, "hello", string(said))
	assert.Less(t, b.stale(t.Context()), before, "a package is compiled now")
}

func TestFaultsAreToldAlone(t *testing.T) {
	b := module(t, "package main\n\nimport _ \"own/other\"\n\nfunc main() { nothing() }\n")
	err := b.Run(t.Context())
	require.ErrorContains(t, err, "main.go:5:15: undefined: nothing")
	assert.NotContains(t, err.Error(), "own/other")
}

func TestAnInterruptEndsIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, module(t, "package main\n\nfunc main() {}\n").Run(ctx), context.Canceled)
}

package tools

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// warmCache is a cache whose compiler takes what the user's Go has compiled already, and keeps it.
func warmCache(t *testing.T) string {
	t.Helper()
	t.Setenv(KeepVariable, "1")
	users, err := exec.Command("go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	cache := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(cache, "compile"), 0o755))
	require.NoError(t, os.Symlink(strings.TrimSpace(string(users)), filepath.Join(cache, "compile", "build")))
	return cache
}

// use opens the caches and leaves something in them, read-only as Go leaves modules.
func use(t *testing.T, cache string) *caches {
	t.Helper()
	c, err := openCaches(t.Context(), cache)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(c.dir, "modules", "m"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(c.dir, "modules", "m", "go.mod"), nil, 0o444))
	return c
}

func TestTheCompilersCachesGoWithTheLastUser(t *testing.T) {
	cache := t.TempDir()
	first, second := use(t, cache), use(t, cache)
	require.NoError(t, first.close())
	assert.DirExists(t, first.dir, "the second still compiles")
	require.NoError(t, second.close())
	assert.NoDirExists(t, second.dir)
}

func TestTheCompilersCachesStayForTheNextAttempt(t *testing.T) {
	cache := t.TempDir()
	c := use(t, cache)
	c.keep()
	assert.DirExists(t, c.dir)
	require.NoError(t, use(t, cache).close())
	assert.NoDirExists(t, c.dir, "who did not succeed holds them still")
}

func TestTheCompilersCachesStayWhenAskedFor(t *testing.T) {
	t.Setenv(KeepVariable, "1")
	c := use(t, t.TempDir())
	require.NoError(t, c.close())
	assert.DirExists(t, c.dir)
}

func TestTheCompilerUsesCachesOfItsOwnAndTheUsersDownloads(t *testing.T) {
	t.Setenv("GOMODCACHE", "/users/modules")
	t.Setenv("GOPROXY", "https://proxy.example.org,direct")
	cache := t.TempDir()
	c := use(t, cache)
	defer c.keep()
	for _, setting := range []string{
		"GOCACHE=" + cache + "/compile/build", "GOMODCACHE=" + cache + "/compile/modules",
		"GOPROXY=file:///users/modules/cache/download,https://proxy.example.org,direct",
	} {
		assert.Contains(t, c.env, setting)
	}
}

package tools

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// warmCache returns a cache that shares the build cache of the user's Go, and keeps it.
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

// use puts something into the caches and returns their directory.
func use(t *testing.T, cache string) (dir string, release func()) {
	t.Helper()
	_, release, err := useCaches(t.Context(), cache)
	require.NoError(t, err)
	dir = filepath.Join(cache, "compile")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "modules", "m"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "modules", "m", "go.mod"), nil, 0o444))
	return dir, release
}

func TestTheCompilersCachesGoWhenNobodyUsesThem(t *testing.T) {
	cache := t.TempDir()
	require.NoError(t, Store{Cache: cache}.Clean(), "there are none")
	_, releaseFirst := use(t, cache)
	dir, releaseSecond := use(t, cache)
	releaseFirst()
	require.NoError(t, Store{Cache: cache}.Clean())
	assert.DirExists(t, dir, "the second still compiles")
	releaseSecond()
	require.NoError(t, Store{Cache: cache}.Clean())
	assert.NoDirExists(t, dir)
	assert.Eventually(t, func() bool {
		left, err := filepath.Glob(dir + "*")
		return err == nil && len(left) == 0
	}, time.Minute, 10*time.Millisecond)
}

func TestTheCompilersCachesStayWhenAskedFor(t *testing.T) {
	t.Setenv(KeepVariable, "1")
	cache := t.TempDir()
	dir, release := use(t, cache)
	release()
	require.NoError(t, Store{Cache: cache}.Clean())
	assert.DirExists(t, dir)
}

func TestTheCompilerUsesCachesOfItsOwnAndTheUsersDownloads(t *testing.T) {
	t.Setenv("GOMODCACHE", "/users/modules")
	t.Setenv("GOPROXY", "https://proxy.example.org,direct")
	cache := t.TempDir()
	env, release, err := useCaches(t.Context(), cache)
	require.NoError(t, err)
	defer release()
	for _, setting := range []string{
		"GOCACHE=" + cache + "/compile/build", "GOMODCACHE=" + cache + "/compile/modules",
		"GOPROXY=file:///users/modules/cache/download,https://proxy.example.org,direct",
	} {
		assert.Contains(t, env, setting)
	}
}

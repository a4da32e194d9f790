package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/internal/npm"
)

// axe is a script that finds what keeps people from using a page: https://github.com/dequelabs/axe-core
var axe = npm.Package{
	Name: "axe-core", Version: "4.14.1",
	Integrity: "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
}

// axeScript is what a page has to run before it has an `axe`.
func axeScript(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	script, err := axe.File(t.Context(), filepath.Join(cache, "stateful-k3s", "npm"), "axe.min.js")
	require.NoError(t, err)
	return string(script)
}

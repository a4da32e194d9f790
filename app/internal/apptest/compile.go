package apptest

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Compiled is a program that is compiled once, when it is first needed. It is put beside the test binary, in
// a folder that go test removes.
type Compiled func() (path string, err error)

// Compile prepares another app than the tests' own, with environment variables for the compiler.
func Compile(app string, environment ...string) Compiled {
	return sync.OnceValues(func() (string, error) {
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		path := filepath.Join(filepath.Dir(self), app)
		build := exec.Command("go", "build", "-o", path, "github.com/stateful-k3s/stateful-k3s/app/"+app)
		build.Env = append(os.Environ(), environment...)
		build.Stderr = os.Stderr
		return path, build.Run()
	})
}

// Path returns the path of the program.
func (c Compiled) Path(t testing.TB) string {
	t.Helper()
	path, err := c()
	require.NoError(t, err)
	return path
}

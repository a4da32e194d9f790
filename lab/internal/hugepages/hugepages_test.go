package hugepages

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

// stand makes a file in place of the kernel's setting.
func stand(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "enabled")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

func content(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return strings.TrimSpace(string(content))
}

func TestTheSettingIsRestored(t *testing.T) {
	path := stand(t, "always [madvise] never\n")
	release, err := lend(path)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(content(t, path), "always"), "while it is lent")
	release()
	assert.Equal(t, "madvise", content(t, path))
}

func TestTheSettingIsRestoredAfterAKill(t *testing.T) {
	for name, lends := range map[string]func(path string) error{
		"of who lends": func(path string) error {
			if _, err := lend(path); err != nil {
				return err
			}
			if err := os.WriteFile(path+".lent", nil, 0o644); err != nil {
				return err
			}
			select {}
		},
		"of what took its place": func(path string) error {
			return execute(path, []string{"sh", "-c", `touch "$0.lent"; exec sleep infinity`, path})
		},
	} {
		t.Run(name, func(t *testing.T) {
			if path := os.Getenv("LEND"); path != "" {
				require.NoError(t, lends(path))
			}
			path := stand(t, "always madvise [never]\n")
			child := exec.Command(os.Args[0], "-test.run", "^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
			child.Env = append(os.Environ(), "LEND="+path)
			require.NoError(t, child.Start())
			require.Eventually(t, func() bool { _, err := os.Stat(path + ".lent"); return err == nil }, time.Minute,
				10*time.Millisecond)
			assert.True(t, strings.HasPrefix(content(t, path), "always"))
			require.NoError(t, child.Process.Kill())
			require.Error(t, child.Wait())
			require.Eventually(t, func() bool { return content(t, path) == "never" }, time.Minute, 10*time.Millisecond)
		})
	}
}

func TestWhatNeedsNoChangeIsLeftAlone(t *testing.T) {
	path := stand(t, "[always] madvise never\n")
	release, err := lend(path)
	require.NoError(t, err)
	release()
	assert.Equal(t, "[always] madvise never", content(t, path))

	release, err = lend(filepath.Join(t.TempDir(), "enabled"))
	require.NoError(t, err)
	release()
}

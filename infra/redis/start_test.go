package redis_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A power cut may leave zeros at the end of an append-only file. start.sh removes them, and only them.
func TestStartCutsZerosOffTheAppendOnlyFile(t *testing.T) {
	start := func(dir string) string {
		output, err := exec.Command("sh", "start.sh", dir, "echo", "started").CombinedOutput()
		require.NoError(t, err, string(output))
		return string(output)
	}
	const command = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n\x00\xff\x00\r\n"
	zeros := func(number int) string { return strings.Repeat("\x00", number) }
	for name, test := range map[string]struct{ before, after string }{
		"whole":           {command, command},
		"empty":           {"", ""},
		"one":             {command + zeros(1), command},
		"a page":          {command + zeros(4096), command},
		"many":            {command + zeros(1_000_000), command},
		"zeros alone":     {zeros(200_000), ""},
		"broken off":      {command + "*3\r\n$3\r\nSE" + zeros(512), command + "*3\r\n$3\r\nSE"},
		"in the middle":   {command + zeros(512) + command, command + zeros(512) + command},
		"long":            {strings.Repeat(command, 20_000) + zeros(70_000), strings.Repeat(command, 20_000)},
		"line feeds stay": {command + "\n\n" + zeros(3), command + "\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			snapshot := "REDIS" + zeros(8) // ends in a checksum
			before := map[string]string{
				"appendonly.aof.1.incr.aof": test.before,
				"appendonly.aof.2.incr.aof": test.before,
				"appendonly.aof.1.base.rdb": snapshot,
			}
			for file, content := range before {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600))
			}
			output := start(dir)
			require.Equal(t, test.before != test.after, strings.Contains(output, " zeros off the end of "), output)
			require.True(t, strings.HasSuffix(output, "started\n"), output)
			for file := range before {
				want := test.after
				if strings.HasSuffix(file, ".rdb") {
					want = snapshot
				}
				content, err := os.ReadFile(filepath.Join(dir, file))
				require.NoError(t, err)
				require.True(t, want == string(content), "%s has %d bytes instead of %d", file, len(content), len(want))
			}
		})
	}
	require.Equal(t, "started\n", start(filepath.Join(t.TempDir(), "none")), "on a new volume")
}

package stack

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheLastStatesAreKeptWithWhatOpensThem(t *testing.T) {
	lab, _ := newLab(t)
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	require.NoError(t, Keep(lab, now), "there is no state")
	assert.NoDirExists(t, lab.Dir("copies"))

	write := func(path, content string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	state := filepath.Join("pulumi", ".pulumi", "stacks", project, "dev.json")
	write(lab.Dir("passphrase"), "secret")
	write(lab.Dir("pulumi", ".pulumi", "meta.yaml"), "version: 1\n")
	write(lab.Dir("pulumi", "Pulumi.dev.yaml"), "encryptionsalt: v1:abc\n")
	require.NoError(t, os.Rename(lab.Dir("passphrase"), lab.Dir("away")))
	write(lab.Dir(state), "interrupted")
	require.Error(t, Keep(lab, now))
	require.NoError(t, os.Rename(lab.Dir("away"), lab.Dir("passphrase")))
	for i := range copies + 3 {
		write(lab.Dir(state), strconv.Itoa(i))
		for range 2 { // the second time nothing has changed
			now = now.Add(time.Minute)
			require.NoError(t, Keep(lab, now))
		}
	}
	kept, err := filepath.Glob(lab.Dir("copies", "*"))
	require.NoError(t, err)
	require.Len(t, kept, copies, "what an interrupted run left is not kept")
	for i, dir := range kept {
		for name, want := range map[string]string{
			state: strconv.Itoa(i + 3), "passphrase": "secret",
			"pulumi/.pulumi/meta.yaml": "version: 1\n", "pulumi/Pulumi.dev.yaml": "encryptionsalt: v1:abc\n",
		} {
			content, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			assert.Equal(t, want, string(content))
		}
	}
}

package postgrestest

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
)

// Some drivers let the group of a volume write to everything on it, and Postgres does not start on such data.
func TestSetUpTakesDataThatAGroupMayWrite(t *testing.T) {
	tree := imagetest.Open(t)
	volume := tree.TempDir()
	setup, err := os.ReadFile("../../../infra/database/statefulset/setup.sh")
	require.NoError(t, err)
	tree.File("postgresql.conf", "unix_socket_directories = '"+volume+"'\ndynamic_shared_memory_type = mmap\n")
	tree.File("roles.sql", "SELECT 1;\n")
	data := tree.Path(volume + "/pgdata")
	run := func() (string, error) {
		cmd := tree.Command("/bin/sh", tree.File("setup.sh", string(setup)))
		cmd.Env = append(cmd.Env, "VOLUME="+volume, "PGDATA="+volume+"/pgdata", "CONFIG="+tree.Dir,
			"DATABASE=app", "PGHOST="+volume)
		said, err := cmd.CombinedOutput()
		return string(said), err
	}
	said, err := run()
	require.NoError(t, err, said)
	require.NoError(t, os.Chmod(data, os.ModeSetgid|0o770))
	said, err = run()
	require.NoError(t, err, said)
	info, err := os.Stat(data)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o750), info.Mode().Perm())

	require.NoError(t, os.Chown(data, 0, 0))
	require.NoError(t, os.Chmod(data, 0o777))
	said, err = run()
	require.Error(t, err)
	assert.Contains(t, said, "pgdata belongs to user 0, and Postgres runs as user 999: give it back")
}

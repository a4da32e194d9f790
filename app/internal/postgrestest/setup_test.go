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
	tree.File("roles.sql", "SELECT 1;\n")
	data := tree.Path(volume + "/pgdata")
	run := func() (string, error) { return setUp(t, tree, volume, "") }
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

func TestSetUpCreatesExtensions(t *testing.T) {
	tree := imagetest.Open(t)
	volume := tree.TempDir()
	tree.File("roles.sql", "CREATE DATABASE app;\n")
	said, err := setUp(t, tree, volume, "hstore pg_trgm")
	require.NoError(t, err, said)
	tree.File("roles.sql", "\\connect app\nSELECT 1 / (count(*) / 2) FROM pg_extension "+
		"WHERE extname IN ('hstore', 'pg_trgm');\n")
	said, err = setUp(t, tree, volume, "hstore")
	require.NoError(t, err, said)
	said, err = setUp(t, tree, volume, "hstore no-such")
	require.Error(t, err)
	assert.Contains(t, said, "setup: cannot create the extension no-such: leave it out of extensions")
}

// setUp runs the set-up on a volume, in which the server also listens.
func setUp(t *testing.T, tree *imagetest.Tree, volume, extensions string) (said string, err error) {
	setup, err := os.ReadFile("../../../infra/database/statefulset/setup.sh")
	require.NoError(t, err)
	tree.File("postgresql.conf", "unix_socket_directories = '"+volume+"'\ndynamic_shared_memory_type = mmap\n")
	cmd := tree.Command("/bin/sh", tree.File("setup.sh", string(setup)))
	cmd.Env = append(cmd.Env, "VOLUME="+volume, "PGDATA="+volume+"/pgdata", "CONFIG="+tree.Dir,
		"DATABASE=app", "PGHOST="+volume, "EXTENSIONS="+extensions)
	output, err := cmd.CombinedOutput()
	return string(output), err
}

package postgrestest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
)

func TestServersOfTheImage(t *testing.T) {
	for range 2 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			tree := imagetest.Open(t)
			first, second := StartIn(t, tree), StartIn(t, tree)
			first.Exec("CREATE TABLE todos AS SELECT 'buy milk' AS title")
			assert.Equal(t, "17", first.Ask("SELECT current_setting('server_version_num')::int / 10000 || ''"))
			assert.Equal(t, "0", second.Ask("SELECT count(*)::text FROM pg_tables WHERE tablename = 'todos'"))
			first.Kill()
			first.Restart()
			assert.Equal(t, "buy milk", first.Ask("SELECT title FROM todos"))
		})
	}
}

func TestRolesOfTheImage(t *testing.T) {
	server := StartIn(t, imagetest.Open(t))
	server.Exec("CREATE TABLE todos AS SELECT 'buy milk' AS title")
	assert.Equal(t, "app app false", server.Ask(`
		SELECT current_database() || ' ' || pg_get_userbyid(datdba) || ' ' || (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
		FROM pg_database WHERE datname = current_database()`))
	assert.Equal(t, "true", server.As("postgres").Ask(
		"SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user"))

	reader := server.As("reader")
	assert.Equal(t, "buy milk", reader.Ask("SELECT title FROM todos"))
	conn, err := pgx.Connect(t.Context(), reader.URL())
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), "DELETE FROM todos")
	require.ErrorContains(t, err, "read-only transaction")
	_, err = conn.Exec(t.Context(), "SET default_transaction_read_only = off")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "DELETE FROM todos")
	require.ErrorContains(t, err, "permission denied")

	_, err = pgx.Connect(t.Context(), strings.Replace(server.URL(), firstPassword, "wrong", 1))
	require.ErrorContains(t, err, "password authentication failed")
}

func TestTheImageVerifiesTheServersCertificate(t *testing.T) {
	tree := imagetest.Open(t)
	server, other := StartIn(t, tree), StartIn(t, tree)
	const encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
	said, err := tree.Command("psql", "-At", server.TLSURL(), "-c", encrypted).CombinedOutput()
	require.NoError(t, err, string(said))
	assert.Equal(t, "t\n", string(said))

	for reason, url := range map[string]string{
		"certificate verify failed": strings.Replace(server.TLSURL(), server.Addr(),
			other.Addr(), 1),
		`"localhost" does not match host name "127.0.0.1"`: strings.Replace(server.TLSURL(), "localhost",
			"127.0.0.1", 1),
	} {
		said, err := tree.Command("psql", url, "-c", encrypted).CombinedOutput()
		require.Error(t, err)
		assert.Contains(t, string(said), reason)
	}
}

func TestAKilledServerLeavesNothing(t *testing.T) {
	tree := imagetest.Open(t)
	server := StartIn(t, tree)
	shared, err := filepath.Glob(tree.Path(server.data() + "/pg_dynshmem/mmap.*"))
	require.NoError(t, err)
	assert.NotEmpty(t, shared, "what it shares lies in its directory")
	assert.NotEmpty(t, tree.Running(server.data()))
	server.Kill()
	assert.Empty(t, tree.Running(server.data()))
}

// Some drivers let the group of a volume write to all that is on it, and Postgres starts on no such data.
func TestSetUpTakesDataThatAGroupMayWrite(t *testing.T) {
	tree := imagetest.Open(t)
	volume := tree.TempDir()
	setup, err := os.ReadFile("../../../infra/postgres/setup.sh")
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

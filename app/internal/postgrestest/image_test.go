package postgrestest

import (
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
	assert.Equal(t, "true", server.As("postgres").Ask("SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user"))

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
		"certificate verify failed":                        strings.Replace(server.TLSURL(), server.Addr(), other.Addr(), 1),
		`"localhost" does not match host name "127.0.0.1"`: strings.Replace(server.TLSURL(), "localhost", "127.0.0.1", 1),
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

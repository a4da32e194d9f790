package main

import (
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
)

// mover is a pod whose data moves from one volume to another. Both versions are the same one here, which the
// program cannot tell from others.
type mover struct {
	t                         *testing.T
	tree                      *imagetest.Tree
	old, new, sockets, config string
}

func newMover(t *testing.T) *mover {
	t.Helper()
	t.Parallel()
	tree := imagetest.Open(t)
	m := &mover{t: t, tree: tree, old: tree.TempDir(), new: tree.TempDir(), sockets: tree.TempDir()}
	m.config = tree.File("postgresql.conf", "dynamic_shared_memory_type = mmap\nlisten_addresses = ''\n"+
		"hba_file = '"+tree.File("hba.conf", "local all all trust\n")+"'\n")
	m.setUp(m.old)
	sample, err := os.ReadFile("testdata/sample.sql")
	require.NoError(t, err)
	m.sql(m.old, "app", string(sample)+`;
		RESET ROLE;
		CREATE ROLE "a b" LOGIN PASSWORD 'correct-horse' IN ROLE clerk;
		ALTER ROLE "a b" SET work_mem = '5MB';
		ALTER ROLE app PASSWORD 'older';`)
	return m
}

// setUp does what setup.sh does in a pod: it makes what is missing.
func (m *mover) setUp(volume string) {
	m.t.Helper()
	data := path.Join(volume, dataFolder)
	if _, err := os.Stat(m.tree.Path(data)); err != nil {
		m.run("initdb", "--pgdata="+data, "--username=postgres", "--no-sync", "--locale-provider=builtin",
			"--locale=C.UTF-8", "--encoding=UTF8", "--set=dynamic_shared_memory_type=mmap")
		m.sql(volume, "postgres", `CREATE ROLE app LOGIN PASSWORD 'newer'; CREATE ROLE reader;
			CREATE ROLE restorer SUPERUSER;
			CREATE ROLE exporter; CREATE DATABASE app OWNER app;`)
	}
}

// sql runs statements on a server that starts for them, and returns what it prints.
func (m *mover) sql(volume, database, statements string) string {
	m.t.Helper()
	const script = `set -e
rm -f "$1/postmaster.pid"
pg_ctl start --silent --wait --pgdata "$1" --log "$1.log" --options "-c config_file=$2 -k $3"
psql --host "$3" --username postgres --dbname "$4" --no-psqlrc --quiet --tuples-only --no-align \
	--set ON_ERROR_STOP=1 --file "$5"
pg_ctl stop --silent --mode fast --pgdata "$1"`
	return m.run("/bin/sh", "-c", script, "sh", path.Join(volume, dataFolder), m.config, m.sockets, database,
		m.tree.File("statements.sql", statements))
}

func (m *mover) run(program string, args ...string) string {
	m.t.Helper()
	return m.output(m.tree.Command(program, args...))
}

func (m *mover) output(cmd *exec.Cmd) string {
	m.t.Helper()
	said, err := cmd.CombinedOutput()
	require.NoError(m.t, err, string(said))
	return strings.TrimSpace(string(said))
}

func (m *mover) begin(command string) *apptest.Process {
	m.t.Helper()
	return apptest.StartIn(m.t, m.tree, []string{command}, "OLD_VOLUME="+m.old, "VOLUME="+m.new,
		"CONFIG_FILE="+m.config, "SOCKET_DIR="+m.sockets, "DATABASE=app")
}

func (m *mover) succeed(command string) string {
	m.t.Helper()
	p := m.begin(command)
	require.Equal(m.t, 0, p.Wait().ExitCode(), p.Logged())
	return p.Logged()
}

// pod runs the containers of a pod up to its server.
func (m *mover) pod() {
	m.t.Helper()
	m.succeed("move-out")
	m.setUp(m.new)
	m.succeed("move-in")
}

// dumped is everything that pg_dump knows.
func (m *mover) dumped(volume string) string {
	m.t.Helper()
	m.sql(volume, "app", `\! pg_dump --host "`+m.sockets+`" --username postgres --file "`+volume+`/sql" app`)
	text, err := os.ReadFile(m.tree.Path(path.Join(volume, "sql")))
	require.NoError(m.t, err)
	return restrict.ReplaceAllString(string(text), "")
}

func TestADatabaseMovesWhole(t *testing.T) {
	m := newMover(t)
	before := m.dumped(m.old)
	m.pod()
	assert.Equal(t, before, m.dumped(m.new))
	assert.Equal(t, "f|5MB|t", m.sql(m.new, "app", `
		SELECT rolsuper, (SELECT setting FROM (SELECT split_part(unnest(rolconfig), '=', 2) AS setting)),
			pg_has_role(oid, 'clerk', 'member') FROM pg_roles WHERE rolname = 'a b'`), "a role of the user's")
	assert.Equal(t, "t|t", m.sql(m.new, "app", `
		SELECT (SELECT count(*) > 0 FROM pg_stats WHERE schemaname = 'public'),
		(SELECT count(*) = 0 FROM pg_database WHERE datname ~ '_(restoring|replaced)_')`), "statistics; leftovers")

	// Later starts of the pod change nothing.
	m.sql(m.new, "app", `CREATE TABLE later AS SELECT 1 AS a`)
	m.pod()
	assert.Equal(t, "1", m.sql(m.new, "app", `SELECT a FROM later`))

	// The old server runs again: whoever went back has other data there.
	m.sql(m.old, "app", `CREATE TABLE since AS SELECT 1 AS a`)
	p := m.begin("move-out")
	require.NotEqual(t, 0, p.Wait().ExitCode())
	require.Contains(t, p.Logged(), "the old server has run on its own volume after the move")
	assert.Equal(t, "1", m.sql(m.new, "app", `SELECT a FROM later`), "nothing was changed")
}

// A move that is killed anywhere is done by the next start of the pod, from the data as it is then.
func TestAKilledMoveIsDoneByTheNextStart(t *testing.T) {
	m := newMover(t)
	killAfter := func(command, line string) {
		t.Helper()
		p := m.begin(command)
		p.Eventually(func() bool { return strings.Contains(p.Logged(), line) })
		p.Stop(syscall.SIGKILL)
	}
	killAfter("move-out", "dumped and stored")
	// The number of the killed server now belongs to a thread of the program.
	lock := m.tree.Path(path.Join(m.sockets, ".s.PGSQL.5432.lock"))
	require.NoError(t, os.WriteFile(lock, []byte("2\n"), 0o600))
	m.succeed("move-out")
	m.setUp(m.new)
	p := m.begin("move-in")
	p.Eventually(func() bool {
		_, err := os.Stat(m.tree.Path(path.Join(m.new, moving, dumpFile+".list")))
		return err == nil
	})
	p.Stop(syscall.SIGKILL)
	m.succeed("move-in") // the container starts again in the same pod
	moved := m.dumped(m.new)

	// A pod that is killed after the new data is whole, and before it counts, starts anew.
	require.NoError(t, os.Mkdir(m.tree.Path(path.Join(m.new, moving)), 0o700))
	require.NoError(t, os.Chown(m.tree.Path(path.Join(m.new, moving)), 999, 999))
	m.sql(m.old, "app", `CREATE TABLE since AS SELECT 1 AS a`)
	m.pod()
	assert.Equal(t, m.dumped(m.old), m.dumped(m.new))
	assert.NotEqual(t, moved, m.dumped(m.new), "what the old server has written since")
}

// What the new version cannot take stays where it is.
func TestAMoveThatFailsLeavesTheOldVolume(t *testing.T) {
	m := newMover(t)
	before := m.dumped(m.old)
	m.succeed("move-out")
	m.setUp(m.new)
	dump := m.tree.Path(path.Join(m.new, moving, dumpFile))
	content, err := os.ReadFile(dump)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(dump, content[:len(content)*9/10], 0o600))
	p := m.begin("move-in")
	require.NotEqual(t, 0, p.Wait().ExitCode())
	require.Contains(t, p.Logged(), "not moved, and the old volume is as it was: ")
	m.pod()
	assert.Equal(t, before, m.dumped(m.new))
}

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
)

// beginRestore starts a restore with additional settings.
func (s *system) beginRestore(what string, settings ...string) *apptest.Process {
	s.t.Helper()
	return s.begin("restore "+what, append([]string{"URL=" + s.db.As("restorer").TLSURL()}, settings...)...)
}

// restore must succeed, and returns its log.
func (s *system) restore(what string, settings ...string) string {
	s.t.Helper()
	p := s.beginRestore(what, settings...)
	require.Equal(s.t, 0, p.Wait().ExitCode(), p.Logged())
	s.isAlone()
	return p.Logged()
}

// failRestore runs a restore that must fail immediately, name the reasons in its last line, and change
// nothing.
func (s *system) failRestore(what string, reasons []string, settings ...string) {
	s.t.Helper()
	const oid = `SELECT oid::text FROM pg_database WHERE datname = 'app'`
	before := s.db.Ask(oid)
	p := s.beginRestore(what, append([]string{"RETRY=1m"}, settings...)...)
	s.hasFailed(p, append(reasons, "not restored: ")...)
	assert.NotContains(s.t, p.Logged(), "trying again")
	assert.Equal(s.t, before, s.db.Ask(oid))
	s.isAlone()
}

// isAlone asserts that a restore has left nothing but the database, in which its own role owns nothing.
func (s *system) isAlone() {
	s.t.Helper()
	s.isClean()
	system := s.db.As("postgres").In("postgres")
	assert.Equal(s.t, "0", system.Ask(
		`SELECT count(*)::text FROM pg_database WHERE datname ~* '_(restoring|replaced)_'`))
	assert.Equal(s.t, "0", system.Ask(
		`SELECT count(*)::text FROM pg_shdepend WHERE refobjid = 'restorer'::regrole`))
}

// lose replaces the database by an empty one, as if on another server.
func (s *system) lose() {
	s.t.Helper()
	s.forget()
	system := s.db.As("postgres").In("postgres")
	system.Exec(`DROP DATABASE app WITH (FORCE)`)
	system.Exec(`CREATE DATABASE app OWNER app`)
	system.Exec(`REVOKE ALL ON DATABASE app FROM PUBLIC; GRANT CONNECT ON DATABASE app TO reader`)
}

// forget makes the server's backups another server's, and forgets its restores.
func (s *system) forget() {
	s.t.Helper()
	s.db.As("postgres").In("postgres").Exec(`DROP TABLE IF EXISTS restores`)
	for _, name := range s.backups() {
		m := s.manifest(name)
		m.System = "1"
		s.setManifest(name, m)
	}
}

var restrict = regexp.MustCompile(`(?m)^\\(un)?restrict .*$`)

// dumped returns everything that pg_dump knows about a database, as text.
func (s *system) dumped(database string) string {
	s.t.Helper()
	url := s.db.As("postgres").In(database).URL()
	return restrict.ReplaceAllString(s.output(s.tree.Command("pg_dump", "--create", "--dbname="+url)), "")
}

func TestARestoreBringsEverythingBack(t *testing.T) {
	s := start(t)
	s.db.As("postgres").Exec(`CREATE EXTENSION citext; CREATE TABLE extended (t citext);
		INSERT INTO extended VALUES ('A'); COMMENT ON DATABASE app IS 'it''s DATABASE app ; not another';
		ALTER ROLE app IN DATABASE app SET work_mem = '6MB'; ALTER DATABASE app CONNECTION LIMIT 50;
		CREATE PUBLICATION everything FOR ALL TABLES`)
	whole := s.dumped("app")
	name := s.backup()
	s.lose()
	request := "RESTORE_REQUEST=1"
	log := s.restore("latest", request)
	assert.Equal(t, whole, s.dumped("app"))
	assert.Regexp(t, `msg=restoring from=`+name+` server=1 until=20\S+Z tables=12 rows=5075 over=nothing\n`, log)
	assert.NoFileExists(t, s.object("restore-asked.json"))
	end := s.outcome()
	assert.Regexp(t, `^restored app from `+name+`: 12 tables, 5,075 rows, \d+ kB in \S+s$`, end.Said)
	assert.True(t, end.OK)
	assert.Contains(t, log, `msg="`+end.Said+`"`)
	assert.Equal(t, "latest "+name,
		s.db.As("postgres").In("postgres").Ask(`SELECT restore_from || ' ' || restored
		FROM restores JOIN pg_database d ON d.oid = database WHERE datname = 'app'`))

	s.db.Exec(`INSERT INTO account (name) VALUES ('new')`)
	assert.Equal(t, "6", s.db.Ask(`SELECT max(id)::text FROM account`), "the sequence continues")
	whole = s.dumped("app")
	assert.Contains(t, s.restore("latest", request), "nothing to do: app was restored from "+name+" at 20")
	assert.Contains(t, s.restore("", "RESTORE_FROM=latest", "RESTORE_OVER=app", request), "nothing to do")
	// Another request with the same words wants another state, and the words do not say which.
	for _, other := range []string{"", "2"} {
		reasons := []string{"app was restored from " + name + " at 20", `"latest" takes nothing of the server`,
			"backup list"}
		s.failRestore("latest", reasons, "RESTORE_OVER=app", "RESTORE_REQUEST="+other)
	}
	s.failRestore("end", []string{"app was restored from " + name}, "RESTORE_OVER=app", request)
	assert.Equal(t, whole, s.dumped("app"), "what was written since is still there")

	for _, over := range []string{"", "other"} {
		s.failRestore(name, []string{"app holds 12 tables with 5,076 rows", "nothing was changed",
			"set restoreOver to app"}, "RESTORE_OVER="+over)
	}
	// Another version of pg_dump prints other statements.
	m := s.manifest(name)
	m.Server, m.Client, m.Content.Schema = "16.4", "16.4", "of other words"
	s.setManifest(name, m)
	assert.Contains(t, s.succeed("verify "+name), "not comparing the schema")
	m.Content.Tables[0].Rows++
	s.setManifest(name, m)
	s.fail("verify "+name, []string{"differs from the database: table "})
	m.Content.Tables[0].Rows--
	s.setManifest(name, m)
	log = s.restore(name, "RESTORE_OVER=app", request)
	assert.Contains(t, log, "restored app from "+name)
	s.db.Exec(`INSERT INTO account (name) VALUES ('new')`)
	assert.Contains(t, s.restore(name, "RESTORE_OVER=app", request), "nothing to do")
	// A restore from before there were requests.
	s.db.As("postgres").In("postgres").Exec(`UPDATE restores SET name = NULL, request = NULL`)
	assert.Contains(t, s.restore(name, "RESTORE_OVER=app", "RESTORE_REQUEST=2"), "nothing to do")
	s.db.As("postgres").In("postgres").Exec(`ALTER TABLE restores DROP name, DROP request`)
	assert.Contains(t, s.restore(name, "RESTORE_OVER=app", "RESTORE_REQUEST=2"), "nothing to do")

	// A stack that came up after a loss has backups too.
	newest := s.backups()[1]
	s.lose()
	empty := s.age(s.backup(), -time.Minute)
	log = s.restore("latest")
	assert.Contains(t, log, `msg="passed over" backup=`+empty+` because="it has no tables"`)
	assert.Contains(t, log, "restored app from "+newest)
}

func TestARestoreOverADatabaseBacksItUp(t *testing.T) {
	s := start(t)
	first := s.backup()
	s.forget()
	then := s.dumped("app")
	s.db.Exec(`DELETE FROM entry WHERE id > 10; CREATE TABLE more AS SELECT 1 AS id`)
	now := s.dumped("app")
	log := s.restore("latest", "RESTORE_OVER=app")
	assert.Equal(t, then, s.dumped("app"))
	assert.Contains(t, log, `held="12 tables with 85 rows"`)
	require.Len(t, s.backups(), 2)
	saved := s.backups()[1]
	assert.Contains(t, log, "backed up what is replaced")
	assert.Contains(t, log, "backup="+saved)

	assert.Contains(t, s.restore(saved, "RESTORE_OVER=app"), "restored app from "+saved)
	assert.Equal(t, now, s.dumped("app"))
	assert.Contains(t, s.succeed("verify --all"), "restored and compared")

	// A backup of the server that is restored into is never the latest.
	s.db.As("postgres").In("postgres").Exec(`DROP TABLE restores`)
	s.db.Exec(`INSERT INTO cache SELECT n::text, '' FROM generate_series(1, 5000) n`)
	more := "app holds 12 tables with 5,085 rows, which is more than the 5,074 rows of " + first
	s.failRestore("latest", []string{more, "ask for it by this name"}, "RESTORE_OVER=app")
	s.db.Exec(`DELETE FROM cache`)
	log = s.restore("latest", "RESTORE_OVER=app")
	passedOver := `msg="passed over" backup=` + saved + ` because="it is of the server that is restored into"`
	assert.Contains(t, log, passedOver)
	assert.Contains(t, log, "restored app from "+first)
	assert.Equal(t, then, s.dumped("app"))
	s.db.As("postgres").In("postgres").Exec(`DROP TABLE restores`)
	require.NoError(t, os.RemoveAll(s.object(first)))
	newest := s.backups()[2]
	own := []string{"all backups that have a table are of the server to restore into",
		"ask for it by its name, " + newest}
	s.failRestore("latest", own, "RESTORE_OVER=app")
	// Nor is one with an older manifest, which does not name the server.
	m := s.manifest(newest)
	m.System = ""
	s.setManifest(newest, m)
	s.failRestore("latest", own, "RESTORE_OVER=app")
	m.System = "1"
	s.setManifest(newest, m)
	future := s.age(newest, -48*time.Hour)
	s.lose()
	log = s.restore("latest")
	assert.Contains(t, log, `msg="passed over" backup=`+future+` because="it is dated in the future"`)
	assert.Contains(t, log, "restored app from "+newest, "of another server's, it is what was there last")
}

// migrate makes what goose and an app make in an empty database.
const migrate = `CREATE TABLE goose_db_version (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
		version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now());
	INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (1, true);
	CREATE TABLE todo (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text NOT NULL);
	CREATE INDEX ON todo (title)`

// After a volume is lost, an app migrates the new database before anybody can restore it.
func TestADatabaseWithoutRowsIsReplacedUnasked(t *testing.T) {
	s := startEmpty(t)
	s.db.Exec(migrate + `; INSERT INTO todo (title) VALUES ('buy milk')`)
	whole := s.dumped("app")
	name := s.backup()
	for what, c := range map[string]struct{ sql, holds string }{
		"a row":               {`INSERT INTO todo (title) VALUES ('buy bread')`, "2 tables with 3 rows"},
		"a row elsewhere":     {`CREATE TABLE other AS SELECT 1 AS id`, "3 tables with 3 rows"},
		"a large object":      {`SELECT lo_from_bytea(0, 'x')`, "2 tables with 2 rows, and 1 large objects"},
		"a materialized view": {`CREATE MATERIALIZED VIEW one AS SELECT 1`, "2 tables with 2 rows"},
	} {
		t.Run(what, func(t *testing.T) {
			s.lose()
			s.db.Exec(migrate + `; ` + c.sql)
			s.with(t).failRestore("latest", []string{"app holds " + c.holds + ", and nothing was changed"})
		})
	}
	s.lose()
	s.db.Exec(`SELECT lo_from_bytea(0, 'x')`)
	s.failRestore("latest", []string{"app holds 0 tables with 0 rows, and 1 large objects"})

	s.lose()
	s.db.Exec(migrate)
	log := s.restore("latest")
	assert.Contains(t, log, "restored app from "+name)
	assert.Contains(t, log, `msg="backed up what is replaced" held="2 tables with 2 rows"`)
	assert.Equal(t, whole, s.dumped("app"))
	require.Len(t, s.backups(), 2)
}

// Names that need quotes get them everywhere.
func TestADatabaseOfAnOddName(t *testing.T) {
	s := startEmpty(t)
	system := s.db.As("postgres").In("postgres")
	for _, name := range []string{`Odd "app" 'DATABASE app;`, `user`, strings.Repeat("long", 12)} {
		quoted := pgx.Identifier{name}.Sanitize()
		system.Exec("CREATE DATABASE " + quoted + " OWNER app")
		system.Exec("GRANT CONNECT ON DATABASE " + quoted + " TO reader; " +
			"COMMENT ON DATABASE " + quoted + " IS 'odd'; ALTER DATABASE " + quoted + " SET work_mem = '5MB'")
		s.db.In(name).Exec("CREATE TABLE a AS SELECT 1 AS b")
		whole := s.dumped(name)
		made := s.backup("URL=" + s.db.As("reader").In(name).TLSURL())
		s.db.In(name).Exec("DROP TABLE a")
		if strings.HasPrefix(name, "long") {
			s.failRestore(made, []string{"the name of database longlong", "is too long", "by 8 bytes"},
				"URL="+s.db.As("restorer").In(name).TLSURL())
			continue
		}
		assert.Contains(t, s.restore(made, "URL="+s.db.As("restorer").In(name).TLSURL()), "from "+made)
		assert.Equal(t, whole, s.dumped(name))
	}
}

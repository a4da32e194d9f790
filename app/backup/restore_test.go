package main

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
)

// beginRestore starts a restore with further settings.
func (s *system) beginRestore(what string, settings ...string) *apptest.Process {
	s.t.Helper()
	return s.begin("restore "+what, append([]string{"URL=" + s.db.As("restorer").TLSURL()}, settings...)...)
}

// restore has to succeed, and returns what it logged.
func (s *system) restore(what string, settings ...string) string {
	s.t.Helper()
	p := s.beginRestore(what, settings...)
	require.Equal(s.t, 0, p.Wait().ExitCode(), p.Logged())
	s.isAlone()
	return p.Logged()
}

// failRestore has to fail at once, for reasons that are told in its last line, and to leave everything as it
// was.
func (s *system) failRestore(what string, reasons []string, settings ...string) {
	s.t.Helper()
	const oid = `SELECT oid::text FROM pg_database WHERE datname = 'app'`
	before := s.db.Ask(oid)
	p := s.beginRestore(what, append([]string{"RETRY=1m"}, settings...)...)
	s.hasFailed(p, append(reasons, "not restored: ")...)
	assert.NotContains(s.t, p.Logged(), "beginning anew")
	assert.Equal(s.t, before, s.db.Ask(oid))
	s.isAlone()
}

// isAlone says that a restore has left nothing but the database, and in that nothing that belongs to its own
// role.
func (s *system) isAlone() {
	s.t.Helper()
	s.isClean()
	system := s.db.As("postgres").In("postgres")
	assert.Equal(s.t, "0", system.Ask(
		`SELECT count(*)::text FROM pg_database WHERE datname ~* '_(restoring|replaced)_'`))
	assert.Equal(s.t, "0", system.Ask(
		`SELECT count(*)::text FROM pg_shdepend WHERE refobjid = 'restorer'::regrole`))
}

// lose makes the database one that was just made, on another server.
func (s *system) lose() {
	s.t.Helper()
	s.forget()
	system := s.db.As("postgres").In("postgres")
	system.Exec(`DROP DATABASE app WITH (FORCE)`)
	system.Exec(`CREATE DATABASE app OWNER app`)
	system.Exec(`REVOKE ALL ON DATABASE app FROM PUBLIC; GRANT CONNECT ON DATABASE app TO reader`)
}

// forget makes the server one that no backup is of, and into which nothing was restored.
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

// dumped is all that pg_dump knows of a database, as text.
func (s *system) dumped(database string) string {
	s.t.Helper()
	url := s.db.As("postgres").In(database).URL()
	return restrict.ReplaceAllString(s.output(s.tree.Command("pg_dump", "--create", "--dbname="+url)), "")
}

func TestARestoreBringsEverythingBack(t *testing.T) {
	s := start(t)
	s.db.As("postgres").Exec(`CREATE EXTENSION citext; CREATE TABLE extended (t citext); INSERT INTO extended VALUES ('A');
		COMMENT ON DATABASE app IS 'it''s DATABASE app ; not another'; ALTER ROLE app IN DATABASE app SET work_mem = '6MB'; ALTER DATABASE app CONNECTION LIMIT 50;
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
		s.db.As("postgres").In("postgres").Ask(
			`SELECT restore_from || ' ' || restored FROM restores JOIN pg_database d ON d.oid = database WHERE datname = 'app'`))

	s.db.Exec(`INSERT INTO account (name) VALUES ('new')`)
	assert.Equal(t, "6", s.db.Ask(`SELECT max(id)::text FROM account`), "the sequence goes on")
	whole = s.dumped("app")
	assert.Contains(t, s.restore("latest", request), "nothing to do: app was restored from "+name+" at 20")
	assert.Contains(t, s.restore("", "RESTORE_FROM=latest", "RESTORE_OVER=app", request), "nothing to do")
	// Another request in the same words wants something else than what is there, and what that is, these words
	// do not say.
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
	// Another version of pg_dump wrote other statements.
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
	// A restore of before there were requests.
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

	// Of the server that is restored into, none is the latest.
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
	own := []string{"all backups that have a table are of the very server", "ask for it by its name, " + newest}
	s.failRestore("latest", own, "RESTORE_OVER=app")
	// Nor do manifests of before they told the server say that they are of another one.
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

// None of these gets better by trying again, and none changes anything.
func TestWhatIsNotRestored(t *testing.T) {
	s := start(t)
	s.lose()
	s.failRestore("latest", []string{"there is no backup that has a table"})
	empty := s.backup()
	s.failRestore("latest", []string{"there is no backup that has a table"})
	s.db.Exec(`CREATE TABLE todo AS SELECT 'buy milk' AS title`)
	name := s.backup()
	s.forget()
	for kind, statement := range map[string]string{"TABLE": "()", "SEQUENCE": "", "VIEW": "AS SELECT 1",
		"FUNCTION": "() RETURNS int RETURN 1"} {
		s.db.Exec(`DROP TABLE IF EXISTS todo; CREATE ` + kind + ` a ` + statement)
		s.failRestore("latest", []string{"app holds 1 ", strings.ToLower(kind), "set restoreOver to app"})
		s.db.Exec(`DROP ` + kind + ` a`)
	}

	sound := s.manifest(name)
	dump := s.read(name, "dump")
	edit := func(change func(*manifest.Manifest)) func() {
		return func() {
			m := sound
			change(&m)
			s.setManifest(name, m)
		}
	}
	for _, damage := range []struct {
		do     func()
		reason string
	}{
		{func() { s.overwrite(dump[:len(dump)-1], name, "dump") }, "the stored dump is damaged"},
		{func() { s.overwrite(append([]byte{dump[0] ^ 1}, dump[1:]...), name, "dump") },
			"the stored dump is damaged"},
		{func() { s.overwrite([]byte("{}"), name, "manifest.json") }, "the manifest of " + name + " is damaged"},
		{edit(func(m *manifest.Manifest) { m.Content.Roles = append(m.Content.Roles, "clerk", "chief") }),
			"the server lacks roles that " + name + " names: create them, without a password if need be: chief"},
		{edit(func(m *manifest.Manifest) { m.Server = "18.1" }), name +
			" is of Postgres 18.1, and the server of 17."},
		{edit(func(m *manifest.Manifest) { m.Database = "todo" }), name + " is of database todo, and this is app"},
		{edit(func(m *manifest.Manifest) { m.Content.Tables[0].Rows++ }),
			"compare: the restored copy differs from the database: table public.todo has 1 rows instead of 2"},
	} {
		damage.do()
		s.failRestore("latest", []string{damage.reason})
		sound.Content.Tables[0].Rows = 1
		s.overwrite(dump, name, "dump")
		s.setManifest(name, sound)
	}

	for what, reason := range map[string]string{
		"yesterday":                `"yesterday" is none of: latest, a name that backup list prints, a time such as 2026-11-22T14:05:00Z, end`,
		"":                         "RESTORE_FROM: is not set; for example: RESTORE_FROM=latest",
		"20261122T020000Z-1a2b3c":  "20261122T020000Z-1a2b3c: there is no such backup",
		"20261122T020000Z-1a2b3cd": "is none of",
	} {
		s.failRestore(what, []string{reason})
	}
	for role, reason := range map[string]string{"app": "permission denied", "nobody": "authentication failed"} {
		s.failRestore("latest", []string{"open the database: ", reason}, "URL="+s.db.As(role).TLSURL())
	}
	s.failRestore("latest", []string{"the server has no database nowhere"}, "URL="+
		s.db.As("restorer").In("nowhere").TLSURL())
	s.failRestore("latest", []string{"Access Denied"}, "S3_PREFIX=other")
	// An app that was early has written something.
	gate := s.newGate(readingBack)
	p := s.beginRestore("latest", gate.endpoint(), "RETRY=1m")
	<-gate.reached
	s.db.Exec(`CREATE TABLE early AS SELECT 1 AS id`)
	close(gate.open)
	p.Wait()
	s.hasFailed(p, "not restored: app holds 1 tables with 1 rows, and nothing was changed")
	s.isAlone()
	s.db.Exec(`DROP TABLE early`)
	assert.Contains(t, s.restore(empty), "restored app from "+empty+": 0 tables", "by its name even that")
}

func TestAnEncryptedBackupIsRestored(t *testing.T) {
	s := start(t)
	mine, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	other, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	recipient := "AGE_RECIPIENT=" + mine.Recipient().String()
	name := s.backup(recipient)
	whole := s.dumped("app")
	s.lose()
	s.failRestore("latest", []string{"encrypted to " + mine.Recipient().String(), "AGE_IDENTITY_FILE"})
	s.failRestore("latest", []string{"decrypt"}, "AGE_IDENTITY_FILE="+s.tree.File("other", other.String()))
	identity := "AGE_IDENTITY_FILE=" + s.tree.File("mine", mine.String())
	assert.Contains(t, s.restore("latest", identity), "restored app from "+name)
	assert.Equal(t, whole, s.dumped("app"))

	s.restore(name, identity, recipient, "RESTORE_OVER=app")
	require.Len(t, s.backups(), 2)
	assert.Equal(t, mine.Recipient().String(), s.manifest(s.backups()[1]).Dump.Recipient,
		"what is replaced is as secret")
}

// Names that have to be quoted are, wherever they stand.
func TestADatabaseOfAnOddName(t *testing.T) {
	s := startEmpty(t)
	system := s.db.As("postgres").In("postgres")
	for _, name := range []string{`Odd "app" 'DATABASE app;`, `user`, strings.Repeat("long", 12)} {
		quoted := pgx.Identifier{name}.Sanitize()
		system.Exec("CREATE DATABASE " + quoted + " OWNER app")
		system.Exec("GRANT CONNECT ON DATABASE " + quoted + " TO reader; COMMENT ON DATABASE " + quoted +
			" IS 'odd'; ALTER DATABASE " + quoted + " SET work_mem = '5MB'")
		s.db.In(name).Exec("CREATE TABLE a AS SELECT 1 AS b")
		whole := s.dumped(name)
		made := s.backup("URL=" + s.db.As("reader").In(name).TLSURL())
		s.db.In(name).Exec("DROP TABLE a")
		if strings.HasPrefix(name, "long") {
			s.failRestore(made, []string{"the name of database longlong", "is too long", "by 8 bytes"}, "URL="+
				s.db.As("restorer").In(name).TLSURL())
			continue
		}
		assert.Contains(t, s.restore(made, "URL="+s.db.As("restorer").In(name).TLSURL()), "from "+made)
		assert.Equal(t, whole, s.dumped(name))
	}
}

func TestTwoRestoresAtOnce(t *testing.T) {
	s := start(t)
	name := s.backup()
	s.lose()
	gate := s.newGate(readingBack)
	first := s.beginRestore("latest", gate.endpoint(), "RESTORE_REQUEST=1")
	<-gate.reached
	second := s.beginRestore("latest", "RESTORE_REQUEST=1")
	second.Eventually(func() bool { return strings.Contains(second.Logged(), "waiting for another restore") })
	close(gate.open)
	require.Equal(t, 0, first.Wait().ExitCode(), first.Logged())
	require.Equal(t, 0, second.Wait().ExitCode(), second.Logged())
	assert.Contains(t, first.Logged(), "restored app from "+name)
	assert.Contains(t, second.Logged(), "nothing to do: app was restored from "+name)
	s.isAlone()
}

func TestARestoreBeginsAnew(t *testing.T) {
	s := start(t)
	name := s.backup()
	whole := s.dumped("app")
	s.lose()

	gate := s.newGate(readingBack)
	gate.cut.Store(true)
	p := s.beginRestore("latest", gate.endpoint())
	p.Wait()
	s.hasFailed(p, "not restored: fetch the dump")
	s.isAlone()

	for _, fault := range []struct{ end, restart func() }{{s.store.Kill, s.store.Restart},
		{s.db.Kill, s.db.Restart}} {
		gate := s.newGate(readingBack)
		p := s.beginRestore("latest", gate.endpoint(), "RETRY=1m")
		<-gate.reached
		fault.end()
		fault.restart()
		close(gate.open)
		require.Equal(t, 0, p.Wait().ExitCode(), p.Logged())
		assert.Contains(t, p.Logged(), "restored app from "+name)
		assert.Equal(t, whole, s.dumped("app"))
		s.isAlone()
		s.lose()
	}

	// The database is gone while the new one is filled, and then for a while.
	dir, waiting := s.tree.TempDir(), s.tree.Dir+"/waiting"
	slow := "#!/bin/sh\ncase \"$*\" in *--jobs*) echo >" + waiting +
		"; sleep 1 ;; esac\nexec /usr/lib/postgresql/17/bin/pg_restore \"$@\"\n"
	require.NoError(t, os.WriteFile(s.tree.Path(dir+"/pg_restore"), []byte(slow), 0o755))
	p = s.beginRestore("latest", "RETRY=1m", "PATH="+dir+":/bin:/usr/bin:/usr/lib/postgresql/17/bin")
	p.Eventually(func() bool { _, err := os.Stat(s.tree.Path(waiting)); return err == nil })
	s.db.Kill()
	p.Eventually(func() bool { return strings.Contains(p.Logged(), "beginning anew") })
	s.db.Restart()
	require.Equal(t, 0, p.Wait().ExitCode(), p.Logged())
	assert.Contains(t, p.Logged(), "removed database=app_restoring_")
	assert.Equal(t, whole, s.dumped("app"))
	s.isAlone()
}

// Restores are killed $RESTORE_KILLS times at random points, and run again. All the while clients look at the
// database, and see all of the one content or all of the other.
func TestAKilledRestore(t *testing.T) {
	const fewest = "2"
	kills, err := strconv.Atoi(cmp.Or(os.Getenv("RESTORE_KILLS"), fewest))
	require.NoError(t, err)
	s := start(t)
	contents := []*content{{backup: s.backup()}, {}}
	contents[0].sum = s.db.Ask(sumOfContent)
	s.db.Exec(`UPDATE entry SET amount = amount + 1; UPDATE account SET balance = balance + 1; INSERT INTO cache SELECT n::text, n::text FROM generate_series(1, 10000) n`)
	contents[1].backup, contents[1].sum = s.backup(), s.db.Ask(sumOfContent)

	looking, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var wrong, looks atomic.Int64
	for _, lasting := range []bool{false, true} {
		clients.Go(func() {
			look(looking, s.db.URL(), lasting, func(sum string) {
				looks.Add(1)
				if sum != contents[0].sum && sum != contents[1].sum {
					wrong.Add(1)
				}
			})
		})
	}
	begun := time.Now()
	s.restore(contents[0].backup, "RESTORE_OVER=app")
	usual := time.Since(begun)
	finished := 0
	for i := range kills {
		next := contents[(i+1)%2]
		request := "RESTORE_REQUEST=" + strconv.Itoa(i)
		p := s.beginRestore(next.backup, "RESTORE_OVER=app", request)
		time.Sleep(rand.N(usual))
		p.Stop(syscall.SIGKILL)
		if s.db.Ask(sumOfContent) == next.sum {
			finished++
		}
		s.renewPod()
		s.restore(next.backup, "RESTORE_OVER=app", request)
		assert.Equal(t, next.sum, s.db.Ask(sumOfContent))
	}
	stop()
	clients.Wait()
	assert.Zero(t, wrong.Load())
	assert.Greater(t, looks.Load(), int64(10*kills))
	t.Logf("wrong content in %d of %d looks during %d kills, of which %d came after the new content was there",
		wrong.Load(), looks.Load(), kills, finished)
}

// content is what a database holds, as its clients see it, and the backup of that.
type content struct{ backup, sum string }

const sumOfContent = `SELECT (SELECT sum(hashtextextended(e::text, 0)) FROM entry e) || ' ' || (SELECT sum(hashtextextended(a::text, 0)) FROM account a) || ' ' ||
	(SELECT count(*) FROM cache)`

// look tells what a client sees until ctx ends, with one connection as long as that lasts or another one each
// time.
func look(ctx context.Context, url string, lasting bool, saw func(sum string)) {
	const pause = 10 * time.Millisecond
	for ; ctx.Err() == nil; sleep(ctx, pause) {
		conn, err := pgx.Connect(ctx, url)
		for ; err == nil; sleep(ctx, pause) {
			var sum string
			err = conn.QueryRow(ctx, sumOfContent).Scan(&sum)
			var told *pgconn.PgError
			switch {
			case err == nil:
				saw(sum)
			case errors.As(err, &told) && told.Code[:2] == "42": // something is missing
				saw(told.Message)
			}
			if !lasting {
				break
			}
		}
		if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}
}

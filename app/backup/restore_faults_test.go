package main

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"os"
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
	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
)

// A retry cures none of these, and none changes anything.
func TestWhatIsNotRestored(t *testing.T) {
	s := start(t)
	s.lose()
	s.failRestore("latest", []string{"there is no backup that has a table"})
	empty := s.backup()
	s.failRestore("latest", []string{"there is no backup that has a table"})
	s.db.Exec(`CREATE TABLE todo AS SELECT 'buy milk' AS title`)
	name := s.backup()
	s.forget()
	for kind, statement := range map[string]string{
		"TABLE": "()", "SEQUENCE": "", "VIEW": "AS SELECT 1", "FUNCTION": "() RETURNS int RETURN 1",
	} {
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
		{edit(func(m *manifest.Manifest) { m.Server = "99.1" }),
			name + " is of Postgres 99.1, and the server of " + imagetest.Major() + "."},
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
		"yesterday": `"yesterday" is none of: latest, a name that backup list prints, a time such as ` +
			`2026-11-22T14:05:00Z, end`,
		"":                         "RESTORE_FROM: is not set; for example: RESTORE_FROM=latest",
		"20261122T020000Z-1a2b3c":  "20261122T020000Z-1a2b3c: there is no such backup",
		"20261122T020000Z-1a2b3cd": "is none of",
	} {
		s.failRestore(what, []string{reason})
	}
	for role, reason := range map[string]string{"app": "permission denied", "nobody": "authentication failed"} {
		s.failRestore("latest", []string{"open the database: ", reason}, "URL="+s.db.As(role).TLSURL())
	}
	s.failRestore("latest", []string{"the server has no database nowhere"},
		"URL="+s.db.As("restorer").In("nowhere").TLSURL())
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

// Postgres drops no database with a subscription. The restore is done all the same.
func TestTheReplacedDatabaseCannotBeDropped(t *testing.T) {
	s := start(t)
	name := s.backup()
	superuser := s.db.As("postgres")
	superuser.Exec(`CREATE SUBSCRIPTION s CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false)`)
	for _, request := range []string{"1", "2"} { // the second meets the remains of the first
		p := s.beginRestore(name, "RESTORE_OVER=app", "RESTORE_REQUEST="+request)
		require.Equal(t, 0, p.Wait().ExitCode(), p.Logged())
		assert.Contains(t, p.Logged(), `msg="not removed; the next restore tries again" database=app_replaced_`)
		assert.Contains(t, p.Logged(), "restored app from "+name)
	}
	system := superuser.In("postgres")
	replaced := superuser.In(system.Ask(`SELECT datname FROM pg_database WHERE datname ~ '_replaced_'`))
	replaced.Exec(`ALTER SUBSCRIPTION s SET (slot_name = NONE)`)
	replaced.Exec(`DROP SUBSCRIPTION s`)
	s.restore(name, "RESTORE_OVER=app")
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

	for _, fault := range []struct{ end, restart func() }{
		{s.store.Kill, s.store.Restart}, {s.db.Kill, s.db.Restart},
	} {
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

	// The server dies while the new database is filled, and stays away for a while.
	dir, waiting := s.tree.TempDir(), s.tree.Dir+"/waiting"
	slow := "#!/bin/sh\ncase \"$*\" in *--jobs*) echo >" + waiting +
		"; sleep 1 ;; esac\nexec " + imagetest.Programs() + "/pg_restore \"$@\"\n"
	require.NoError(t, os.WriteFile(s.tree.Path(dir+"/pg_restore"), []byte(slow), 0o755))
	p = s.beginRestore("latest", "RETRY=1m", "PATH="+dir+":/bin:/usr/bin:"+imagetest.Programs())
	p.Eventually(func() bool { _, err := os.Stat(s.tree.Path(waiting)); return err == nil })
	s.db.Kill()
	p.Eventually(func() bool { return strings.Contains(p.Logged(), "trying again") })
	s.db.Restart()
	require.Equal(t, 0, p.Wait().ExitCode(), p.Logged())
	assert.Contains(t, p.Logged(), "removed database=app_restoring_")
	assert.Equal(t, whole, s.dumped("app"))
	s.isAlone()
}

// $RESTORE_KILLS restores are killed at random moments and run again. Clients always see either all of the
// old content or all of the new.
func TestAKilledRestore(t *testing.T) {
	const fewest = "2"
	kills, err := strconv.Atoi(cmp.Or(os.Getenv("RESTORE_KILLS"), fewest))
	require.NoError(t, err)
	s := start(t)
	contents := []*content{{backup: s.backup()}, {}}
	contents[0].sum = s.db.Ask(sumOfContent)
	s.db.Exec(`UPDATE entry SET amount = amount + 1; UPDATE account SET balance = balance + 1;
		INSERT INTO cache SELECT n::text, n::text FROM generate_series(1, 10000) n`)
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
	t.Logf("wrong content in %d of %d looks during %d kills, %d of them after the new content was there",
		wrong.Load(), looks.Load(), kills, finished)
}

// content is a checksum of a database, as its clients see it, and its backup.
type content struct{ backup, sum string }

const sumOfContent = `SELECT (SELECT sum(hashtextextended(e::text, 0)) FROM entry e) || ' ' ||
	(SELECT sum(hashtextextended(a::text, 0)) FROM account a) || ' ' || (SELECT count(*) FROM cache)`

// look reports what a client sees until ctx ends, over one connection while it lasts, or a new one each time.
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

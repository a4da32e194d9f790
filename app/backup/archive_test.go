package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/archivertest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
)

// archive makes the server archive its log.
func (s *system) archive(settings ...string) *archivertest.Archiver {
	s.t.Helper()
	return archivertest.Start(s.t, s.tree, s.db, s.store, prefix, settings...)
}

// write is a row that was written between two times.
type write struct {
	id          int
	begun, done time.Time
}

// load writes rows on several connections at once.
func (s *system) load(duration time.Duration) (writes []write) {
	s.t.Helper()
	const writers = 4
	var mu sync.Mutex
	var group sync.WaitGroup
	deadline := time.Now().Add(duration)
	for writer := range writers {
		group.Go(func() {
			conn, err := pgx.Connect(s.t.Context(), s.db.URL())
			if !assert.NoError(s.t, err) {
				return
			}
			defer conn.Close(s.t.Context())
			for i := 0; time.Now().Before(deadline); i++ {
				w := write{id: i*writers + writer, begun: time.Now()}
				if _, err := conn.Exec(s.t.Context(), `INSERT INTO event VALUES ($1)`, w.id); !assert.NoError(s.t, err) {
					return
				}
				w.done = time.Now()
				mu.Lock()
				writes = append(writes, w)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	require.NotEmpty(s.t, writes)
	return writes
}

func (s *system) ids() map[int]bool {
	s.t.Helper()
	ids := map[int]bool{}
	for text := range strings.FieldsSeq(s.db.Ask(`SELECT coalesce(string_agg(id::text, ' '), '') FROM event`)) {
		id, err := strconv.Atoi(text)
		require.NoError(s.t, err)
		ids[id] = true
	}
	return ids
}

// A restore to a time has every write acknowledged before it, and none sent after it.
func TestADatabaseComesBackAsItWasAtAnyTime(t *testing.T) {
	s := start(t)
	archiver := s.archive()
	s.db.Exec(`CREATE TABLE event (id int)`)
	s.db.As("postgres").Exec(`ALTER SYSTEM SET autovacuum = off`) // it would commit by itself
	s.db.As("postgres").Exec(`SELECT pg_reload_conf()`)
	time.Sleep(2 * time.Second) // to the first second that the base backup covers
	writes := s.load(5 * time.Second)
	time.Sleep(2 * time.Second) // the archive tells times to the second
	archiver.Switch()
	if archive := s.status().Archive; assert.NotNil(t, archive) {
		assert.WithinDuration(t, time.Now(), archive.Last, time.Minute)
		assert.False(t, archive.Gap)
	}

	first, last := writes[0].begun, writes[len(writes)-1].begun
	s.lose()
	for what, reason := range map[string]string{
		first.Add(-time.Hour).Format(time.RFC3339): "there is no base backup from before ",
		last.Add(time.Hour).Format(time.RFC3339):   "the archive does not hold the log up to ",
		last.Add(500 * time.Millisecond).Format(time.RFC3339Nano): "the log ends before that time: " +
			"its last transaction was at 20",
	} {
		s.failRestore(what, []string{reason})
	}
	times, err := strconv.Atoi(cmp.Or(os.Getenv("ARCHIVE_TIMES"), "2"))
	require.NoError(t, err)
	for range times {
		at := first.Add(rand.N(last.Sub(first))).UTC().Truncate(time.Microsecond)
		s.lose()
		log := s.restore(at.Format(time.RFC3339Nano))
		assert.Contains(t, log, "restored app from "+at.Format(time.RFC3339Nano))
		found, missing, early := s.ids(), 0, 0
		for _, w := range writes {
			if w.done.Before(at) && !found[w.id] {
				missing++
			}
			if w.begun.After(at) && found[w.id] {
				early++
			}
		}
		t.Logf("%s: %d of %d rows", at, len(found), len(writes))
		assert.Zero(t, missing, "rows from before %s that are missing", at)
		assert.Zero(t, early, "rows from after %s that are there", at)
		assert.Equal(t, "5", s.db.Ask(`SELECT max(id)::text FROM account`), "the other tables are there")
	}
	assert.Regexp(t, `archive: 20\d\d-\S+Z to 20\d\d-\S+Z in end-\d+\n`, s.succeed("list"))
}

// A mistake of a moment ago is not in the archive yet.
func TestAMistakeIsUndoneAtOnce(t *testing.T) {
	s := start(t)
	s.archive()
	time.Sleep(2 * time.Second) // to the first second that the base backup covers
	whole := s.dumped("app")
	right := time.Now()
	s.db.Exec(`DELETE FROM entry`)
	assert.NotEqual(t, whole, s.dumped("app"))
	s.restore(right.Format(time.RFC3339Nano), "RESTORE_OVER=app")
	assert.Equal(t, whole, s.dumped("app"))

	idle := time.Now()
	s.restore(idle.Format(time.RFC3339Nano), "RESTORE_OVER=app")
	assert.Equal(t, whole, s.dumped("app"))
}

// archives returns the names of all archives.
func (s *system) archives() (names []string) {
	s.t.Helper()
	folders, err := os.ReadDir(s.object("wal", "archive"))
	require.NoError(s.t, err)
	for _, folder := range folders {
		names = append(names, folder.Name())
	}
	return names
}

// By then an app may have made its tables on the new server. Its archive is then the newest.
func TestAnotherServerBringsBackAllThatALostOneArchived(t *testing.T) {
	s := startEmpty(t)
	archiver := s.archive()
	s.db.Exec(`CREATE TABLE event (id int)`)
	writes := s.load(time.Second)
	archiver.Switch()
	whole := s.dumped("app")
	s.db.Exec(`INSERT INTO event VALUES (-1)`) // and this was not archived yet
	s.db.Kill()
	archiver.Stop(syscall.SIGKILL)
	lost := s.archives()[0]

	s.db = postgrestest.StartIn(t, s.tree)
	next := s.archive()
	s.db.Exec(`CREATE TABLE event (id int); INSERT INTO event VALUES (0)`)
	next.Switch()
	own := s.archives()[1]
	log := s.restore("end", "RESTORE_OVER=app")
	const passedOver = `msg="passed over" archive=%s until=20\S+Z because="it is of the server that is restored`
	assert.Regexp(t, fmt.Sprintf(passedOver, own), log)
	const restoring = `from=end-%s server=%[1]s until=20\S+Z tables=1 rows=%d over="1 tables with 1 rows"`
	assert.Regexp(t, fmt.Sprintf(restoring, lost, len(writes)), log)
	assert.Equal(t, whole, s.dumped("app"))
	assert.Len(t, s.ids(), len(writes))
	next.Switch()
	assert.Equal(t, 2, strings.Count(s.succeed("list"), "archive: 20"))
	s.backup()
	assert.Contains(t, s.succeed("verify --all"), ", archive ")
}

// A half-deleted archive keeps neither other archives from being used nor the server from archiving. An
// archive that is unreadable now may be readable later, and may hold what came last.
func TestABrokenArchiveIsSetAside(t *testing.T) {
	s := startEmpty(t)
	archiver := s.archive()
	s.db.Exec(`CREATE TABLE event (id int); INSERT INTO event VALUES (42)`)
	archiver.Switch()
	s.db.Kill()
	archiver.Stop(syscall.SIGKILL)
	whole := s.archives()[0]
	const none, noLog, onlyLog = "7000000000000000001", "7000000000000000002", "7000000000000000003"
	const damaged = "7000000000000000004"
	for _, broken := range []string{none, noLog, onlyLog} {
		for _, kind := range []string{"archive", "backup"} {
			require.NoError(t, os.CopyFS(s.object("wal", kind, broken), os.DirFS(s.object("wal", kind, whole))))
		}
	}
	gone := []string{"archive/" + none + "/*.info*", "backup/" + none + "/*.info*", "archive/" + noLog,
		"backup/" + onlyLog}
	for _, gone := range gone {
		paths, err := filepath.Glob(s.object("wal", gone))
		require.NoError(t, err)
		require.NotEmpty(t, paths)
		for _, path := range paths {
			require.NoError(t, os.RemoveAll(path))
		}
	}

	s.db = postgrestest.StartIn(t, s.tree) // its database has no tables
	empty := s.archive()
	s.db.Kill()
	empty.Stop(syscall.SIGKILL)
	s.db = postgrestest.StartIn(t, s.tree)
	next := s.archive()
	log := s.restore("end")
	assert.Equal(t, map[int]bool{42: true}, s.ids())
	assert.Equal(t, 1, strings.Count(log, "the database has no tables on that server"))
	s.backup()
	listed, verified := s.succeed("list"), s.succeed("verify --checksums --all")
	for _, broken := range []string{none, noLog, onlyLog} {
		const why = "the files that say what is in it are missing"
		assert.Regexp(t, "msg=\"an archive cannot be used\" server="+broken+" because=\""+why, next.Logged())
		assert.Regexp(t, "msg=\"passed over\" archive="+broken+" until=\\S+ because=\""+why, log)
		assert.Contains(t, listed, "archive: what archive "+broken+" holds, which cannot be read: "+why)
		assert.Contains(t, verified, "archive="+broken+" error=\""+why)
	}

	for _, kind := range []string{"archive", "backup"} {
		require.NoError(t, os.CopyFS(s.object("wal", kind, damaged), os.DirFS(s.object("wal", kind, whole))))
	}
	for _, file := range []string{"backup.info", "backup.info.copy"} {
		s.overwrite([]byte("nonsense\n"), "wal", "backup", damaged, file)
	}
	s.forget()
	unread := "and cannot be read: pgbackrest info: [FormatError]"
	s.failRestore("end", []string{"archive " + damaged + " is newer than ", unread, `ask for "end-`},
		"RESTORE_OVER=app")
	s.restore("end-"+whole, "RESTORE_OVER=app")
	assert.Equal(t, map[int]bool{42: true}, s.ids())
}

// Replay needs the parameters of the server that wrote the log, which may have been lower at the base backup.
func TestTheLogOfALargerServerIsReplayed(t *testing.T) {
	s := startEmpty(t)
	archiver := s.archive()
	superuser := s.db.As("postgres")
	time.Sleep(time.Second) // the archive tells times to the second
	elsewhere := s.tree.TempDir()
	superuser.Exec(`CREATE TABLESPACE corner LOCATION '` + elsewhere + `'`)
	superuser.Exec(`GRANT CREATE ON TABLESPACE corner TO app`)
	archiver.WaitForBackups(2)
	superuser.Exec(`ALTER SYSTEM SET max_prepared_transactions = 5`)
	superuser.Exec(`ALTER SYSTEM SET max_locks_per_transaction = 2000`)
	s.db.Kill()
	s.db.Restart()
	s.db.Exec(`CREATE TABLE event (id int) TABLESPACE corner; CREATE UNLOGGED TABLE cache (id int)`)
	s.db.Exec(`INSERT INTO event VALUES (1); INSERT INTO cache VALUES (1)`)
	s.db.Exec(`BEGIN; INSERT INTO event VALUES (2); PREPARE TRANSACTION 'committed'`)
	s.db.Exec(`COMMIT PREPARED 'committed'`)
	s.db.Exec(`BEGIN; INSERT INTO event VALUES (3); LOCK TABLE event; PREPARE TRANSACTION 'it''s open'`)
	archiver.Switch()
	s.db.Kill()
	archiver.Stop(syscall.SIGKILL)
	require.NoError(t, os.RemoveAll(s.tree.Path(elsewhere)))

	s.db = postgrestest.StartIn(t, s.tree)
	log := s.restore("end")
	assert.Equal(t, map[int]bool{1: true, 2: true}, s.ids())
	assert.Contains(t, log,
		`left out a transaction that was prepared, and not committed by then" database=app id="it's open"`)
	assert.Contains(t, log, "without the rows of unlogged tables, which are in no log: public.cache")
}

func TestAnEncryptedArchiveIsOpenedWithItsPassphrase(t *testing.T) {
	s := start(t)
	passphrase := "ARCHIVE_PASSPHRASE_FILE=" + s.tree.File("passphrase", "correct horse")
	archiver := s.archive(passphrase)
	s.db.Exec(`CREATE TABLE event (id int); INSERT INTO event VALUES (42)`)
	archiver.Switch()
	s.lose()
	s.failRestore("end", []string{"the archive holds no base backup", "which cannot be read"})
	own := "end-" + s.archives()[0]
	s.failRestore("end", []string{"the archive holds no base backup of an earlier server", "by its name, " +
		own},
		passphrase)
	s.failRestore(own,
		[]string{"it is of PostgreSQL " + imagetest.Major() + ", and this image has PostgreSQL 99"},
		passphrase, "PATH="+s.replacePgDump("echo 'pg_dump (PostgreSQL) 99.1'")+":/usr/bin:"+imagetest.Programs())
	s.restore(own, passphrase)
	assert.Equal(t, map[int]bool{42: true}, s.ids())
	assert.Regexp(t, fmt.Sprintf("archive: what archive %s holds, which cannot be read", `\d+-[0-9a-f]{8}`),
		s.succeed("list"))
}

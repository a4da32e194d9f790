package main

import (
	"crypto/sha1" //nolint:gosec // it tells damage, not forgery
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/archivertest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

const (
	account = "project"
	// hasty gives a store that is away up after some seconds.
	hasty    = "PGBACKREST_IO_TIMEOUT=1"
	patience = 5 * time.Minute
)

// system is a server that archives its log, and the store that it does to.
type system struct {
	t        *testing.T
	tree     *imagetest.Tree
	db       *postgrestest.Server
	store    *storagetest.Server
	archiver *archivertest.Archiver
}

func start(t *testing.T, settings ...string) *system {
	t.Helper()
	t.Parallel()
	s := &system{t: t, tree: imagetest.Open(t), store: storagetest.Start(t, account)}
	s.db = postgrestest.StartIn(t, s.tree)
	s.archiver = archivertest.Start(t, s.tree, s.db, s.store, account, settings...)
	return s
}

// stored are the files of the archive that match a pattern.
func (s *system) stored(pattern ...string) []string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(append([]string{s.store.DataDir(), storagetest.Bucket, account,
		"wal"}, pattern...)...))
	require.NoError(s.t, err)
	return files
}

// segment ends one of the log, which is archived whenever it is.
func (s *system) segment() {
	s.t.Helper()
	superuser := s.db.As("postgres")
	superuser.Exec("SELECT pg_logical_emit_message(false, 'test', '')")
	superuser.Exec("SELECT pg_switch_wal()")
}

// backUpAgain returns when there are two base backups: it takes a file of the log away, so that one more is
// due.
func (s *system) backUpAgain() {
	s.t.Helper()
	s.archiver.Switch()
	segments := s.stored("archive", "*", "*", "*", "*.zst")
	require.NoError(s.t, os.Remove(segments[len(segments)-2]))
	s.archiver.WaitForBackups(2)
}

// waiting is how many segments of the log are not archived yet.
func (s *system) waiting() string {
	return s.db.As("postgres").Ask(
		`SELECT count(*)::text FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'`)
}

func TestLogWaitsWhileTheStoreIsAway(t *testing.T) {
	s := start(t, hasty)
	s.archiver.Switch() // what is left of the base backup
	s.store.Kill()
	for range 3 {
		s.segment()
	}
	require.Eventually(t, func() bool { return s.waiting() == "3" }, patience, 10*time.Millisecond)
	s.archiver.Eventually(func() bool {
		return strings.Contains(s.archiver.Logged(),
			"the archive is not as it should be")
	})
	s.store.SetSecretKey(account, "another-secret-key")
	s.archiver.SetSecretKey("another-secret-key")
	s.store.Restart()
	s.archiver.Switch()
	assert.Equal(t, "0", s.waiting())
	assert.Equal(t, 1, strings.Count(s.archiver.Logged(), "made a base backup"), "nothing is missing")
}

func TestLogThatNoVolumeHasRoomForIsDropped(t *testing.T) {
	s := start(t, hasty, "ARCHIVE_QUEUE=32MiB")
	s.archiver.Switch()
	s.store.Kill()
	for range 6 {
		s.segment()
	}
	require.Eventually(t, func() bool { return s.waiting() == "2" }, 3*patience, 10*time.Millisecond)
	s.store.Restart()
	s.archiver.Switch()
	s.archiver.WaitForBackups(2)
	assert.Regexp(t, `making a base backup" because="no time from 20\S+Z until it is made can be restored, since segment [0-9A-F]{24} of the log is missing"`, s.archiver.Logged())
	s.archiver.Switch()
	time.Sleep(time.Second)
	assert.Equal(t, 2, strings.Count(s.archiver.Logged(), "made a base backup"), "one is enough")
}

// What an earlier server archived stays as long as the archive goes back, and longer while it may be all that
// there is.
func TestAnEarlierServersArchiveIsDeletedWhenItIsOldAndNotNeeded(t *testing.T) {
	s := start(t)
	earlier := filepath.Base(s.stored("archive", "*")[0])
	s.archiver.Stop(syscall.SIGKILL)
	s.db.Kill()
	const young, half = "7000000000000000001", "7000000000000000002"
	for _, kind := range []string{"archive", "backup"} {
		folder := s.stored(kind, earlier)[0]
		for name, hours := range map[string]time.Duration{young: 23, half: 25, earlier: 25} {
			if name != earlier {
				require.NoError(t, os.CopyFS(filepath.Join(folder, "..", name), os.DirFS(folder)))
			}
			setAge(t, filepath.Join(folder, "..", name), hours*time.Hour)
		}
	}
	for _, info := range s.stored("*", half, "*.info*") {
		require.NoError(t, os.Remove(info))
	}

	s.db = postgrestest.StartIn(t, s.tree)
	s.archiver = archivertest.Start(t, s.tree, s.db, s.store, account, "ARCHIVE_KEEP_DAYS=1")
	s.keeps(earlier, "this server's own has no base backup of as many days yet")
	s.keeps(half, "this server's own has no base backup of as many days yet")

	s.archiver.Switch() // what is left of the base backup
	for range 2 {
		s.segment()
	}
	s.backUpAgain()
	s.keeps(earlier, "this server's databases hold no rows")
	asked := filepath.Join(s.store.DataDir(), storagetest.Bucket, account, pgbackrest.RestoreRequested)
	require.NoError(t, os.WriteFile(asked, nil, 0o600))
	s.keeps(earlier, "a restore was asked for at 20")
	s.db.Exec("CREATE TABLE todo AS SELECT 'buy milk' AS title")
	require.Len(t, s.stored("archive", "*"), 4)

	setAge(t, asked, 25*time.Hour)
	s.archiver.Eventually(func() bool {
		return strings.Count(s.archiver.Logged(), "deleted the archive of an earlier server") == 2
	})
	assert.Empty(t, s.stored("*", earlier))
	assert.Empty(t, s.stored("*", half))
	assert.Len(t, s.stored("*", young), 2)
	assert.NotEmpty(t, s.stored("backup", "*", "backup.info"))
}

// keeps returns when the archiver has said why it keeps an archive.
func (s *system) keeps(archive, why string) {
	s.t.Helper()
	const kept = `msg="kept the archive of an earlier server" server=`
	said := regexp.MustCompile(kept + archive + ` newest=\S+ because="` + why)
	s.archiver.Eventually(func() bool { return said.MatchString(s.archiver.Logged()) })
}

// setAge says of all files of a folder that they were stored so long ago.
func setAge(t *testing.T, folder string, age time.Duration) {
	t.Helper()
	require.NoError(t, filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		return os.Chtimes(path, time.Time{}, time.Now().Add(-age))
	}))
}

// Without the files that say what is in it, nothing can be added to an archive, nor restored from it.
func TestAServerWhoseArchiveIsBrokenBeginsAnother(t *testing.T) {
	s := start(t)
	for _, info := range s.stored("archive", "*", "archive.info*") {
		require.NoError(t, os.Remove(info))
	}
	s.archiver.WaitForBackups(2)
	assert.Contains(t, s.archiver.Logged(), "deleted what was left of this server's archive")
	s.archiver.Switch()
	assert.Len(t, s.stored("archive", "*", "archive.info*"), 2)
}

// pgBackRest makes no base backup that is dated before another one.
func TestABaseBackupOfTheFutureGoes(t *testing.T) {
	s := start(t)
	future := s.addFutureBackup()
	s.archiver.Eventually(func() bool {
		return strings.Contains(s.archiver.Logged(),
			`msg="deleted a base backup that is dated in the future" backup=`+future)
	})
	assert.Empty(t, s.stored("backup", "*", future))
	for range 3 {
		s.segment()
	}
	s.backUpAgain()
}

// addFutureBackup adds to the archive what a base backup would have left that was made in the year 2999, and
// returns its label.
func (s *system) addFutureBackup() (label string) {
	s.t.Helper()
	const year = "2999"
	made := s.stored("backup", "*", "*F")[0]
	label = year + filepath.Base(made)[len(year):]
	require.NoError(s.t, os.CopyFS(filepath.Join(made, "..", label), os.DirFS(made)))
	history := filepath.Join(made, "..", "backup.history")
	require.NoError(s.t, os.Mkdir(filepath.Join(history, year), 0o700))
	remembered, err := filepath.Glob(filepath.Join(history, "*", filepath.Base(made)+"*"))
	require.NoError(s.t, err)
	require.NoError(s.t, os.Link(remembered[0],
		filepath.Join(history, year, year+filepath.Base(remembered[0])[len(year):])))

	for _, path := range s.stored("backup", "*", "backup.info*") {
		content, err := os.ReadFile(path)
		require.NoError(s.t, err)
		info := string(content)
		require.Contains(s.t, info, checksum(info))
		entry := regexp.MustCompile(`(?m)^` + filepath.Base(made) + `=.*\n`).FindString(info)
		ofFuture := regexp.MustCompile(`("backup-timestamp-st(art|op)":)\d+`).ReplaceAllString(entry,
			"${1}32500000000")
		ofFuture = strings.ReplaceAll(ofFuture, filepath.Base(made), label)
		other := strings.Replace(info, entry, entry+ofFuture, 1)
		other = strings.ReplaceAll(other, checksum(info), checksum(other))
		require.NoError(s.t, os.WriteFile(path, []byte(other), 0o600))
	}
	return label
}

// checksum is what pgBackRest takes of a file that says what is in an archive.
// Source: infoLoadCallback, https://github.com/pgbackrest/pgbackrest/blob/main/src/info/info.c
func checksum(info string) string {
	summed, section, last := "{", "", ""
	for line := range strings.Lines(info) {
		line = strings.TrimSpace(line)
		key, value, isPair := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
			continue
		case !isPair || key == "backrest-checksum":
			continue
		case section == last:
			summed += ","
		case last != "":
			summed += "},"
			fallthrough
		default:
			summed += fmt.Sprintf("%q:{", section)
			last = section
		}
		summed += fmt.Sprintf("%q:%s", key, value)
	}
	return fmt.Sprintf("%x", sha1.Sum([]byte(summed+"}}"))) //nolint:gosec // it is what pgBackRest uses
}

func TestBaseBackupsThatAreKept(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var backups []pgbackrest.Backup
	for _, days := range []int{-9, -6, -5, -2, -1, -1, 0,
		1500} { // of which the last is by a clock that was wrong
		backups = append(backups, pgbackrest.Backup{Ended: noon.AddDate(0, 0, days)})
	}
	for days, number := range map[int]int{1: 2, 2: 4, 3: 5, 10: 8} {
		assert.Equal(t, number, backupsToKeep(backups, days), "%d days", days)
	}
	assert.Zero(t, backupsToKeep(nil, 7))
}

// After its volume was set back to a snapshot, a server writes segments by names that it has archived
// already, with another content.
func TestAServerThatWasSetBackBeginsAnotherArchive(t *testing.T) {
	for name, segments := range map[string]int{"far": 4, "within a segment": 0} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.db.Exec("CREATE TABLE todo (title text)")
			s.archiver.Switch()
			s.db.Kill()
			data := s.tree.Path(s.data())
			restrict(t, filepath.Join(data, "postgresql.conf"))
			cp(t, data, data+".snapshot")
			s.db.Restart()
			for range segments {
				s.segment()
			}
			s.db.Exec("INSERT INTO todo VALUES ('buy milk')")
			s.archiver.Switch()
			s.db.Kill()
			require.NoError(t, os.RemoveAll(data))
			require.NoError(t, os.Rename(data+".snapshot", data))
			s.db.Restart()
			s.db.Exec("INSERT INTO todo VALUES ('buy bread')")
			s.db.As("postgres").Exec("SELECT pg_switch_wal()")
			s.archiver.WaitForBackups(2)
			const alarm = "level=ERROR msg=\"this server was set back to an earlier state"
			assert.Equal(t, 1, strings.Count(s.archiver.Logged(), alarm))
			s.db.Exec("INSERT INTO todo VALUES ('buy cheese')")
			s.archiver.Switch()
			assert.Equal(t, "0", s.waiting())
			archives := s.stored("archive", "*")
			require.Len(t, archives, 2)
			assert.Equal(t, archives[0]+"-2", archives[1])
		})
	}
}

// restrict lets nobody change the server's parameters, as the stack does.
func restrict(t *testing.T, configuration string) {
	t.Helper()
	file, err := os.OpenFile(configuration, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString("allow_alter_system = off\n")
	require.NoError(t, errors.Join(err, file.Close()))
}

// data is the server's data directory, as the server sees it.
func (s *system) data() string {
	for _, variable := range s.db.Local() {
		if value, is := strings.CutPrefix(variable, "PGDATA="); is {
			return value
		}
	}
	return ""
}

func cp(t *testing.T, from, to string) {
	t.Helper()
	said, err := exec.Command("cp", "--archive", from, to).CombinedOutput()
	require.NoError(t, err, string(said))
}

// The log of how a tablespace was made cannot be replayed elsewhere.
func TestANewTablespaceTakesABaseBackup(t *testing.T) {
	s := start(t)
	time.Sleep(time.Second) // the archive tells times to the second
	s.db.As("postgres").Exec("CREATE TABLESPACE more LOCATION '" + s.tree.TempDir() + "'")
	s.archiver.WaitForBackups(2)
	assert.Contains(t, s.archiver.Logged(), `because="a tablespace was made since the newest"`)
}

func TestDue(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	span := func(from, to time.Duration, gap string) pgbackrest.Span {
		return pgbackrest.Span{From: now.Add(from), To: now.Add(to), Gap: gap}
	}
	for why, spans := range map[string][]pgbackrest.Span{
		"there is none": nil,
		"": {span(-48*time.Hour, 0, "000000010000000000000007"),
			span(-23*time.Hour, 0, "")},
		"the newest is 24h0m0s old": {span(-24*time.Hour, 0, ""), span(48*time.Hour, 48*time.Hour, "")},
		// by a clock that was wrong
		"no time from 2026-11-22T11:00:00Z until it is made can be restored, since segment 000000010000000000000007 of the log is missing": {
			span(-time.Minute, -time.Hour, "000000010000000000000007"),
		},
	} {
		assert.Equal(t, why, backupDue(spans, now))
	}
}

package main

import (
	"crypto/sha1" //nolint:gosec // it tells damage, not forgery
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/archivertest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

func TestBaseBackupsThatAreKept(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var backups []pgbackrest.Backup
	for _, days := range []int{-9, -6, -5, -2, -1, -1, 0, 1500 /* by a wrong clock */} {
		backups = append(backups, pgbackrest.Backup{Ended: noon.AddDate(0, 0, days)})
	}
	for days, number := range map[int]int{1: 2, 2: 4, 3: 5, 10: 8} {
		assert.Equal(t, number, backupsToKeep(backups, days), "%d days", days)
	}
	assert.Zero(t, backupsToKeep(nil, 7))
}

func TestBackupDue(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	span := func(from, to time.Duration, gap string) pgbackrest.Span {
		return pgbackrest.Span{From: now.Add(from), To: now.Add(to), Gap: gap}
	}
	const gap = "000000010000000000000007"
	for name, c := range map[string]struct {
		want  string
		spans []pgbackrest.Span
	}{
		"none":              {"there is none", nil},
		"a gap, then newer": {"", []pgbackrest.Span{span(-48*time.Hour, 0, gap), span(-23*time.Hour, 0, "")}},
		"old, then a future": {"the newest is 24h0m0s old",
			[]pgbackrest.Span{span(-24*time.Hour, 0, ""), span(48*time.Hour, 48*time.Hour, "")}},
		"a gap": {"no time from 2026-11-22T11:00:00Z until it is made can be restored, since segment " + gap +
			" of the log is missing", []pgbackrest.Span{span(-time.Minute, -time.Hour, gap)}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, backupDue(c.spans, now)) })
	}
}

// An earlier server's archive stays as long as this one's goes back, and longer while it may be the only one.
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

	s.archiver.Switch() // the rest of the base backup
	for range 2 {
		s.endSegment()
	}
	s.db.Exec("CREATE TABLE goose_db_version AS SELECT 1 AS version_id")
	s.backUpAgain()
	s.keeps(earlier, "this server's databases hold no rows")
	asked := filepath.Join(s.store.DataDir(), storagetest.Bucket, account, pgbackrest.RestoreRequested)
	require.NoError(t, os.WriteFile(asked, nil, 0o600))
	s.keeps(earlier, "a restore was requested at 20")
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

// keeps returns when the archiver has logged why it keeps an archive.
func (s *system) keeps(archive, why string) {
	s.t.Helper()
	const kept = `msg="kept the archive of an earlier server" server=`
	said := regexp.MustCompile(kept + archive + ` newest=\S+ because="` + why)
	s.archiver.Eventually(func() bool { return said.MatchString(s.archiver.Logged()) })
}

// setAge sets how long ago all files of a folder were stored.
func setAge(t *testing.T, folder string, age time.Duration) {
	t.Helper()
	require.NoError(t, filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		return os.Chtimes(path, time.Time{}, time.Now().Add(-age))
	}))
}

// pgBackRest makes no base backup that is dated before another one.
func TestABaseBackupOfTheFutureGoes(t *testing.T) {
	s := start(t)
	future := s.addFutureBackup()
	deleted := `msg="deleted a base backup that is dated in the future" backup=` + future
	s.archiver.Eventually(func() bool { return strings.Contains(s.archiver.Logged(), deleted) })
	assert.Empty(t, s.stored("backup", "*", future))
	for range 3 {
		s.endSegment()
	}
	s.backUpAgain()
}

// addFutureBackup copies the base backup as one that was made in the year 2999, and returns its label.
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
		ofFuture := regexp.MustCompile(`("backup-timestamp-st(art|op)":)\d+`).
			ReplaceAllString(entry, "${1}32500000000")
		ofFuture = strings.ReplaceAll(ofFuture, filepath.Base(made), label)
		other := strings.Replace(info, entry, entry+ofFuture, 1)
		other = strings.ReplaceAll(other, checksum(info), checksum(other))
		require.NoError(s.t, os.WriteFile(path, []byte(other), 0o600))
	}
	return label
}

// checksum returns the checksum in an index file of pgBackRest.
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

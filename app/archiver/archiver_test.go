package main

import (
	"os"
	"path/filepath"
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
	patience = time.Minute
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
	files, err := filepath.Glob(filepath.Join(append([]string{s.store.DataDir(), storagetest.Bucket, account, "wal"}, pattern...)...))
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

// waiting is how many segments of the log are not archived yet.
func (s *system) waiting() string {
	return s.db.As("postgres").Ask(`SELECT count(*)::text FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'`)
}

func TestLogWaitsWhileTheStoreIsAway(t *testing.T) {
	s := start(t, hasty)
	s.archiver.Switch() // what is left of the base backup
	s.store.Kill()
	for range 3 {
		s.segment()
	}
	require.Eventually(t, func() bool { return s.waiting() == "3" }, patience, 10*time.Millisecond)
	s.archiver.Eventually(func() bool { return strings.Contains(s.archiver.Logged(), "the archive is not as it should be") })
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

// What an earlier server archived stays as long as the archive goes back, and no longer.
func TestAnEarlierServersArchiveIsDeletedWhenItIsOld(t *testing.T) {
	s := start(t, "ARCHIVE_KEEP_DAYS=3")
	earlier := filepath.Base(s.stored("archive", "*")[0])
	s.archiver.Stop(syscall.SIGKILL)
	s.db.Kill()
	s.db = postgrestest.StartIn(t, s.tree)
	s.archiver = archivertest.Start(t, s.tree, s.db, s.store, account, "ARCHIVE_KEEP_DAYS=3")
	time.Sleep(time.Second)
	require.Len(t, s.stored("archive", "*"), 2)
	age := func(by time.Duration) {
		t.Helper()
		require.NoError(t, filepath.Walk(s.stored("archive", earlier)[0], func(path string, info os.FileInfo, err error) error {
			if err != nil || info.IsDir() {
				return err
			}
			return os.Chtimes(path, time.Time{}, time.Now().Add(-by))
		}))
	}
	age(71 * time.Hour)
	time.Sleep(time.Second)
	require.Len(t, s.stored("archive", "*"), 2)
	age(73 * time.Hour)
	s.archiver.Eventually(func() bool { return strings.Contains(s.archiver.Logged(), "deleted the archive of an earlier server") })
	assert.Empty(t, s.stored("*", earlier))
	assert.NotEmpty(t, s.stored("backup", "*", "backup.info"))
}

func TestDue(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	span := func(from, to time.Duration, gap string) pgbackrest.Span {
		return pgbackrest.Span{From: now.Add(from), To: now.Add(to), Gap: gap}
	}
	for why, spans := range map[string][]pgbackrest.Span{
		"there is none":             nil,
		"":                          {span(-48*time.Hour, 0, "000000010000000000000007"), span(-23*time.Hour, 0, "")},
		"the newest is 24h0m0s old": {span(-24*time.Hour, 0, "")},
		"no time from 2026-11-22T11:00:00Z until it is made can be restored, since segment 000000010000000000000007 of the log is missing": {
			span(-time.Minute, -time.Hour, "000000010000000000000007"),
		},
	} {
		assert.Equal(t, why, due(spans, now))
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/archivertest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/certificatetest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

const (
	account = "project"
	// failFast makes pgBackRest give up a store that is away after some seconds.
	failFast = "PGBACKREST_IO_TIMEOUT=1"
	patience = 5 * time.Minute
)

// system is a server that archives its log, and the store.
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
	s := newSystem(t)
	s.archiver = archivertest.Start(t, s.tree, s.db, s.store, account, settings...)
	return s
}

func newSystem(t *testing.T) *system {
	t.Helper()
	s := &system{t: t, tree: imagetest.Open(t), store: storagetest.Start(t, account)}
	s.db = postgrestest.StartIn(t, s.tree)
	return s
}

// stored returns the files of the archive that match a pattern.
func (s *system) stored(pattern ...string) []string {
	s.t.Helper()
	folder := []string{s.store.DataDir(), storagetest.Bucket, account, "wal"}
	files, err := filepath.Glob(filepath.Join(append(folder, pattern...)...))
	require.NoError(s.t, err)
	return files
}

// endSegment ends a segment of the log without waiting until it is archived.
func (s *system) endSegment() {
	s.t.Helper()
	superuser := s.db.As("postgres")
	superuser.Exec("SELECT pg_logical_emit_message(false, 'test', '')")
	superuser.Exec("SELECT pg_switch_wal()")
}

// backUpAgain removes a file of the log, which makes a second base backup due, and returns when that is made.
func (s *system) backUpAgain() {
	s.t.Helper()
	s.archiver.Switch()
	segments := s.stored("archive", "*", "*", "*", "*.zst")
	require.NoError(s.t, os.Remove(segments[len(segments)-2]))
	s.archiver.WaitForBackups(2)
}

// waiting returns how many segments of the log are not archived yet.
func (s *system) waiting() string {
	return s.db.As("postgres").Ask(
		`SELECT count(*)::text FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'`)
}

func TestLogWaitsWhileTheStoreIsAway(t *testing.T) {
	s := start(t, failFast)
	s.archiver.Switch() // the rest of the base backup
	s.store.Kill()
	for range 3 {
		s.endSegment()
	}
	require.Eventually(t, func() bool { return s.waiting() == "3" }, patience, 10*time.Millisecond)
	s.archiver.Eventually(func() bool {
		return strings.Contains(s.archiver.Logged(), "cannot maintain the archive")
	})
	s.store.SetSecretKey(account, "another-secret-key")
	s.archiver.SetSecretKey("another-secret-key")
	s.store.Restart()
	s.archiver.Switch()
	assert.Equal(t, "0", s.waiting())
	assert.Equal(t, 1, strings.Count(s.archiver.Logged(), "made a base backup"), "nothing is missing")
}

func TestLogThatTheVolumeHasNoRoomForIsDropped(t *testing.T) {
	s := start(t, failFast, "ARCHIVE_QUEUE=32MiB")
	s.archiver.Switch()
	s.store.Kill()
	for range 6 {
		s.endSegment()
	}
	require.Eventually(t, func() bool { return s.waiting() == "2" }, 3*patience, 10*time.Millisecond)
	s.store.Restart()
	s.archiver.Switch()
	s.archiver.WaitForBackups(2)
	assert.Regexp(t, `making a base backup" because="no time from 20\S+Z until it is made can be restored, `+
		`since segment [0-9A-F]{24} of the log is missing"`, s.archiver.Logged())
	s.archiver.Switch()
	time.Sleep(time.Second)
	assert.Equal(t, 2, strings.Count(s.archiver.Logged(), "made a base backup"), "one is enough")
}

func TestArchiveTimeoutCountsFromTheStart(t *testing.T) {
	s := start(t)
	s.archiver.Switch()
	s.db.Set("archive_timeout=1s", "checkpoint_timeout=1d")
	superuser := s.db.As("postgres")
	superuser.Exec("SELECT pg_logical_emit_message(true, 'test', '')")
	segment := superuser.Ask("SELECT pg_walfile_name(pg_current_wal_lsn())")
	s.archiver.Eventually(func() bool {
		return superuser.Ask("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver") >= segment
	})
}

// Without its index files, nothing can be added to an archive or restored from it.
func TestAServerWhoseArchiveIsBrokenBeginsAnother(t *testing.T) {
	s := start(t)
	for _, info := range s.stored("archive", "*", "archive.info*") {
		require.NoError(t, os.Remove(info))
	}
	s.archiver.WaitForBackups(2)
	assert.Contains(t, s.archiver.Logged(), "deleted the rest of this server's archive")
	s.archiver.Switch()
	assert.Len(t, s.stored("archive", "*", "archive.info*"), 2)
}

// The log of how a tablespace was made cannot be replayed elsewhere.
func TestANewTablespaceTakesABaseBackup(t *testing.T) {
	s := start(t)
	time.Sleep(time.Second) // the archive tells times to the second
	s.db.As("postgres").Exec("CREATE TABLESPACE more LOCATION '" + s.tree.TempDir() + "'")
	s.archiver.WaitForBackups(2)
	assert.Contains(t, s.archiver.Logged(), `because="a tablespace was made since the newest"`)
}

// The store's certificate is signed by a public authority, and S3_CA_FILE has another one.
func TestPublicAuthoritiesAreTrustedBesidesS3CA(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	public := s.tree.TempDir()
	certificate, err := os.ReadFile(s.store.CAFile())
	require.NoError(t, err)
	file := s.tree.File("public.crt", string(certificate))
	hash, err := s.tree.Command("/usr/bin/openssl", "x509", "-noout", "-subject_hash", "-in", file).Output()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(file, s.tree.Path(public+"/"+strings.TrimSpace(string(hash))+".0")))
	other, _ := certificatetest.New(t, "other.example")
	archivertest.Start(t, s.tree, s.db, s.store, account, "SSL_CERT_DIR="+public,
		"S3_CA_FILE="+s.tree.File("other.crt", other))
}

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// age copies a backup under a name that is older by a duration.
func (s *system) age(name string, by time.Duration) (older string) {
	s.t.Helper()
	m := s.manifest(name)
	taken, err := restorepoint.BackupTime(name)
	require.NoError(s.t, err)
	m.Name = restorepoint.NewBackup(taken.Add(-by))
	require.NoError(s.t, os.CopyFS(s.object(m.Name), os.DirFS(s.object(name))))
	s.setManifest(m.Name, m)
	return m.Name
}

func TestPrune(t *testing.T) {
	const day = 24 * time.Hour
	s := start(t)
	newest := s.backup()
	yesterday, earlier := s.age(newest, day+time.Minute), s.age(newest, 5*day)
	s.succeed("prune")
	assert.Equal(t, []string{earlier, yesterday, newest}, s.backups())

	keepOne := []string{"KEEP_DAILY=0", "KEEP_WEEKLY=0", "KEEP_MONTHLY=0"}
	dump := s.read(newest, "dump")
	for _, damage := range []struct {
		do     func()
		reason string
	}{
		{func() { s.overwrite(dump[1:], newest, "dump") }, "the stored dump is damaged"},
		{func() { require.NoError(t, os.Remove(s.object(newest, "dump"))) }, "look for the dump of " + newest},
		{func() {
			require.NoError(t, os.WriteFile(s.object(newest, "dump"), dump, 0o600))
			s.overwrite([]byte("{}"), newest, "manifest.json")
		}, "the manifest of " + newest + " is damaged"},
	} {
		described := s.read(newest, "manifest.json")
		damage.do()
		s.fail("prune", []string{"nothing is deleted, for the newest backup may be the only one", damage.reason},
			keepOne...)
		assert.Equal(t, []string{earlier, yesterday, newest}, s.backups())
		s.overwrite(described, newest, "manifest.json")
	}

	// An earlier server's backups stay while a restore is pending, or while this server's have no rows.
	m := s.manifest(earlier)
	m.System = "1"
	s.setManifest(earlier, m)
	asked := s.object("restore-asked.json")
	p := s.beginRestore("20260101T000000Z-000000", "RESTORE_OVER=app")
	s.hasFailed(p, "there is no such backup")
	assert.FileExists(t, asked)
	keepTwo := []string{"KEEP_DAILY=2", "KEEP_WEEKLY=0", "KEEP_MONTHLY=0"}
	kept := `msg="kept a backup of an earlier server" backup=` + earlier
	assert.Contains(t, s.succeed("prune", keepTwo...), kept+` because="a restore was requested at 20`)
	long := time.Now().Add(-8 * day)
	require.NoError(t, os.Chtimes(asked, long, long))
	m = s.manifest(newest)
	full := m.Content.Tables
	for _, tables := range [][]manifest.Table{
		nil, {{Schema: "public", Name: "goose_db_version", Rows: 2}, {Schema: "public", Name: "todo"}},
	} {
		m.Content.Tables = tables
		s.setManifest(newest, m)
		assert.Contains(t, s.succeed("prune", keepTwo...), kept+` because="the newest backup holds no rows"`)
	}
	m.Content.Tables = full
	s.setManifest(newest, m)
	assert.Equal(t, []string{earlier, yesterday, newest}, s.backups())

	require.NoError(t, os.MkdirAll(s.object("of-somebody-else"), 0o700))
	require.NoError(t, os.WriteFile(s.object("of-somebody-else", "dump"), nil, 0o600))
	log := s.succeed("prune", keepTwo...)
	assert.Contains(t, log, "deleted backup="+earlier)
	assert.Equal(t, []string{yesterday, newest}, s.backups())
	assert.NoFileExists(t, s.object(earlier, "dump"))
	assert.FileExists(t, s.object("of-somebody-else", "dump"))

	s.succeed("prune", keepOne...)
	s.succeed("prune", keepOne...)
	assert.Equal(t, []string{newest}, s.backups())
	assert.Contains(t, s.succeed("verify"), "verified "+newest)
}

// Which backups of two servers expire cannot be told without their manifests.
func TestNothingIsPrunedUnread(t *testing.T) {
	s := start(t)
	newest := s.backup()
	older := s.age(newest, 48*time.Hour)
	proxy := s.newProxy(func(w http.ResponseWriter, r *http.Request, store http.Handler) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, older+"/manifest.json") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		store.ServeHTTP(w, r)
	})
	s.fail("prune", []string{"find out which server backup " + older + " is from"}, "S3_ENDPOINT="+proxy.URL,
		"KEEP_DAILY=0", "KEEP_WEEKLY=0", "KEEP_MONTHLY=0")
	assert.Len(t, s.backups(), 2)
}

// A busy server archives a hundred thousand files in a week. Who looks for backups does not list them.
func TestALongArchiveIsNotListedForBackups(t *testing.T) {
	s := startEmpty(t)
	folder := s.object("wal", "archive", "7000000000000000001", "17-1", "0000000100000000")
	require.NoError(t, os.MkdirAll(folder, 0o700))
	for i := range 1500 {
		require.NoError(t, os.WriteFile(filepath.Join(folder, strconv.Itoa(i)), nil, 0o600))
	}
	var lists atomic.Int32
	proxy := s.newProxy(func(w http.ResponseWriter, r *http.Request, store http.Handler) {
		if r.URL.Query().Has("list-type") {
			lists.Add(1)
		}
		store.ServeHTTP(w, r)
	})
	s.succeed("status", "S3_ENDPOINT="+proxy.URL)
	assert.EqualValues(t, 1+2+1, lists.Load(),
		"the backups, for the archive's size two pages of 1000, and whether there is an archive of the plugin")
}

// A run prunes after its backup.
func TestARunPrunes(t *testing.T) {
	s := start(t)
	first := s.backup()
	older := s.age(first, 48*time.Hour)
	log := s.succeed("run", "KEEP_DAILY=1", "KEEP_WEEKLY=0", "KEEP_MONTHLY=0")
	assert.Contains(t, log, "deleted backup="+older)
	assert.Len(t, s.backups(), 2, "all backups of one day stay")
	assert.NotContains(t, s.backups(), older)
}

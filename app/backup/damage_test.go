package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
)

// damages are things that a dump may lack or have too many of, and how each is reported.
var damages = []struct{ name, sql, says string }{
	{"missing table", `DROP TABLE cache`, "table public.cache is missing"},
	{"additional table", `CREATE TABLE more ()`, "table public.more is one too many"},
	{"missing row", `DELETE FROM entry WHERE id = 4711`, "table public.entry has 4999 rows instead of 5000"},
	{"row twice", `INSERT INTO nothing SELECT 1`, "table public.nothing has 1 rows instead of 0"},
	{"one duplicate for another",
		`UPDATE "Odd ""names"""."Select" SET "from" = 1, "WHERE" = 'x', "a""b" = '\x00ff' WHERE ctid = '(0,2)'`,
		`table Odd "names".Select has other values in its 3 rows`},
	{"altered row", `UPDATE entry SET amount = amount + 0.01 WHERE id = 1`,
		"table public.entry has other values in its 5000 rows"},
	{"values swapped between rows",
		`UPDATE entry SET amount = CASE id WHEN 1 THEN 0.02 ELSE 0.01 END WHERE id IN (1, 2)`,
		"table public.entry has other values"},
	{"NULL for an empty text", `UPDATE shape SET x = NULL, v = NULL WHERE v = ''`,
		"table public.shape has other values"},
	{"rounded number", `UPDATE shape SET f8 = 0.3 WHERE d < '0001-01-01'`,
		"table public.shape has other values"},
	{"scale of a number in JSON", `UPDATE shape SET j = '{"b": 1, "a": 2}' WHERE j::text = '{"b": 1,  "a": 2}'`,
		"table public.shape has other values"},
	{"sequence off by one", `SELECT setval('entry_id_seq', 5001)`,
		"sequence public.entry_id_seq is at 5001 instead of 5000"},
	{"sequence not yet used", `SELECT setval('entry_id_seq', 5000, false)`,
		"sequence public.entry_id_seq is at 5000, not yet used, instead of 5000"},
	{"missing index", `DROP INDEX entry_by_account`, "schema"},
	{"missing constraint", `ALTER TABLE account DROP CONSTRAINT account_balance_check`, "schema"},
	{"missing foreign key", `ALTER TABLE entry DROP CONSTRAINT entry_account_fkey`, "schema"},
	{"missing grant", `REVOKE INSERT ON entry FROM clerk`, "schema"},
	{"missing grant on the database", `REVOKE CONNECT ON DATABASE app FROM reader`, "role reader is missing"},
	{"another owner", `ALTER TABLE nothing OWNER TO app`, "schema"},
	{"missing default", `ALTER TABLE account ALTER balance DROP DEFAULT`, "schema"},
	{"another body of a function",
		`CREATE OR REPLACE FUNCTION log_entry() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
		"schema"},
	{"trigger switched off", `ALTER TABLE entry DISABLE TRIGGER entry_is_logged`, "schema"},
	{"missing policy", `DROP POLICY own ON account`, "schema"},
	{"row-level security switched off", `ALTER TABLE account DISABLE ROW LEVEL SECURITY`, "schema"},
	{"missing comment", `COMMENT ON TABLE entry IS NULL`, "schema"},
	{"wider type", `ALTER TABLE nothing ALTER id TYPE bigint`, "schema"},
	{"missing setting of the database", `ALTER DATABASE app RESET work_mem`, "schema"},
}

// Each dump and each manifest is sound. Only a comparison shows that they are not of the same database.
func TestSemanticDamageIsFound(t *testing.T) {
	s := start(t)
	name := s.backup()
	superuser := s.db.As("postgres")
	system := superuser.In("postgres")
	system.Exec(`ALTER DATABASE app RENAME TO pristine`)
	// verify makes the database again, damages it, and replaces the backup's dump by a dump of it.
	verify := func(sql string) *apptest.Process {
		system.Exec(`DROP DATABASE IF EXISTS app WITH (FORCE)`)
		system.Exec(`CREATE DATABASE app TEMPLATE pristine OWNER app`)
		system.Exec(`REVOKE ALL ON DATABASE app FROM PUBLIC; GRANT CONNECT ON DATABASE app TO reader;
			ALTER DATABASE app SET work_mem = '5MB'`)
		superuser.Exec(sql)
		dump := []byte(s.output(s.tree.Command("pg_dump", "--format=custom", "--dbname="+superuser.URL())))
		digest := sha256.Sum256(dump)
		m := s.manifest(name)
		m.Dump = manifest.Dump{Size: int64(len(dump)), SHA256: hex.EncodeToString(digest[:])}
		s.overwrite(dump, name, "dump")
		s.setManifest(name, m)
		return s.begin("verify")
	}
	p := verify(`ANALYZE`)
	require.Zero(t, p.Wait().ExitCode(), "the dump of an equal database: %s", p.Logged())
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			s.with(t).hasFailed(verify(damage.sql), "compare: the restored copy differs from the database",
				damage.says)
		})
	}
	t.Logf("%d kinds of semantic damage", len(damages))
}

// $DAMAGES single bytes of stored objects are changed, one after the other.
func TestDamagedBytesAreFound(t *testing.T) {
	const fewest = "20"
	count, err := strconv.Atoi(cmp.Or(os.Getenv("DAMAGES"), fewest))
	require.NoError(t, err)
	s := start(t)
	name := s.backup()
	objects := map[string][]byte{"dump": s.read(name, "dump"), "manifest.json": s.read(name, "manifest.json")}
	found := 0
	for i := range count {
		object := []string{"dump", "manifest.json"}[i%2]
		damaged := bytes.Clone(objects[object])
		at := rand.IntN(len(damaged))
		damaged[at] ^= byte(1 + rand.IntN(255))
		s.overwrite(damaged, name, object)
		how := "verify"
		if i%10 > 1 {
			how = "verify --checksums" // it is faster, and finds as much
		}
		p := s.begin(how)
		if assert.NotZero(t, p.Wait().ExitCode(), "byte %d of %s", at, object) {
			found++
		}
		assert.Contains(t, p.Logged(), "damaged")
		s.overwrite(objects[object], name, object)
	}
	s.isClean()
	assert.Contains(t, s.succeed("verify"), "verified "+name)
	t.Logf("%d of %d changed bytes were found", found, count)
}

func TestDamagedBackupsAreFound(t *testing.T) {
	s := start(t)
	first, second := s.backup(), ""
	s.db.Exec(`DELETE FROM entry WHERE id % 2 = 0`)
	second = s.backup()
	dump, described := s.read(first, "dump"), s.read(first, "manifest.json")
	m := s.manifest(first)
	for _, damage := range []struct {
		name   string
		do     func()
		reason string
	}{
		{"truncated dump", func() { s.overwrite(dump[:len(dump)-1], first, "dump") },
			"the stored dump is damaged: it has"},
		{"empty dump", func() { s.overwrite(nil, first, "dump") }, "the stored dump is damaged: it has 0 bytes"},
		{"longer dump", func() { s.overwrite(append(bytes.Clone(dump), 0), first, "dump") },
			"the stored dump is damaged: it has"},
		{"no dump", func() { require.NoError(t, os.Remove(s.object(first, "dump"))) },
			"The specified key does not exist"},
		{"dump of another backup", func() { s.overwrite(s.read(second, "dump"), first, "dump") },
			"the stored dump is damaged"},
		{"manifest of another backup",
			func() { s.overwrite(s.read(second, "manifest.json"), first, "manifest.json") },
			"it belongs to " + second},
		{"no manifest", func() { require.NoError(t, os.Remove(s.object(first, "manifest.json"))) },
			"there is no such backup"},
		{"empty manifest", func() { s.overwrite(nil, first, "manifest.json") },
			"the manifest of " + first + " is damaged"},
		{"formatted manifest", func() { s.overwrite(append(bytes.Clone(described), '\n'), first, "manifest.json") },
			"it was changed after it was written"},
		{"edited number of rows", func() {
			edited := m
			edited.Content.Tables = append([]manifest.Table{}, m.Content.Tables...)
			edited.Content.Tables[1].Rows++
			s.setManifest(first, edited)
		}, "rows instead of"},
		{"edited schema", func() {
			edited := m
			edited.Content.Schema, edited.Content.Objects = hex.EncodeToString(make([]byte, sha256.Size)), nil
			s.setManifest(first, edited)
		}, "the schema is another one"},
		{"edited name of the database", func() {
			edited := m
			edited.Database = "postgres"
			s.setManifest(first, edited)
		}, "table public.account is missing"},
		{"both of another backup", func() {
			other := s.manifest(second)
			other.Name = first
			other.Content = m.Content
			s.setManifest(first, other)
			s.overwrite(s.read(second, "dump"), first, "dump")
		}, "table public.entry has 2500 rows instead of 5000"},
	} {
		t.Run(damage.name, func(t *testing.T) {
			damage.do()
			s.with(t).fail("verify "+first, []string{"not verified: " + first, damage.reason})
			s.overwrite(dump, first, "dump")
			s.overwrite(described, first, "manifest.json")
		})
	}
}

func TestVerifyCoversTheArchive(t *testing.T) {
	s := start(t)
	archiver := s.archive()
	s.backup()
	for range 3 {
		s.db.Exec(`INSERT INTO account (name) VALUES (gen_random_uuid()::text)`)
		archiver.Switch()
	}
	assert.Contains(t, s.succeed("verify"), ", archive ")
	assert.Contains(t, s.succeed("verify --checksums"), ", archive ")

	archiver.Stop(syscall.SIGTERM) // it would make another base backup
	segments, err := filepath.Glob(s.object("wal", "archive", "*", "*", "*", "*.zst"))
	require.NoError(t, err)
	for _, segment := range segments[len(segments)-2:] {
		content, err := os.ReadFile(segment)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(segment, damaged(t, content), 0o600))
		s.fail("verify", []string{"not verified: ", "segment"})
		s.fail("verify --checksums", []string{"not verified: ", "status: error"})
		s.hasFailed(s.beginRestore("end-"+s.archives()[0], "RESTORE_OVER=app"), "not restored: ", "segment")
		require.NoError(t, os.WriteFile(segment, content, 0o600))
	}
	require.NoError(t, os.Remove(segments[len(segments)-2]))
	s.fail("verify", []string{"not verified: ", "of the log is missing"})
}

// damaged returns a segment with a damaged first record. Damage to the unused rest would do no harm.
func damaged(t *testing.T, segment []byte) []byte {
	t.Helper()
	const header, within = 40, 30
	reader, err := zstd.NewReader(nil)
	require.NoError(t, err)
	defer reader.Close()
	content, err := reader.DecodeAll(segment, nil)
	require.NoError(t, err)
	content[header+within] ^= 1
	writer, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return writer.EncodeAll(content, nil)
}

// Postgres takes a segment that it does not get for the end of the log.
func TestASegmentThatCannotBeReadIsNotTheEnd(t *testing.T) {
	s := startEmpty(t)
	archiver := s.archive()
	s.db.Exec(`CREATE TABLE event (id int)`)
	time.Sleep(2 * time.Second) // to the first second that the base backup covers
	archiver.Switch()
	s.db.Exec(`INSERT INTO event VALUES (1)`)
	at := time.Now()
	s.db.Exec(`INSERT INTO event VALUES (2)`)
	archiver.Switch()
	segments, err := filepath.Glob(s.object("wal", "archive", "*", "*", "*", "*.zst"))
	require.NoError(t, err)
	last := filepath.Base(segments[len(segments)-1])
	var refusing atomic.Bool
	refusing.Store(true)
	proxy := s.newProxy(func(w http.ResponseWriter, r *http.Request, store http.Handler) {
		if strings.HasSuffix(r.URL.Path, last) && refusing.Load() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		store.ServeHTTP(w, r)
	})
	s.lose()
	p := s.beginRestore(at.Format(time.RFC3339Nano), "S3_ENDPOINT="+proxy.URL, "RETRY=5m")
	retried := regexp.MustCompile(`trying again.* read segment ` + last[:24] + ` of the log: pgbackrest `)
	p.Eventually(func() bool { return retried.MatchString(p.Logged()) })
	refusing.Store(false)
	require.Equal(t, 0, p.Wait().ExitCode(), p.Logged())
	assert.Equal(t, map[int]bool{1: true}, s.ids())
}

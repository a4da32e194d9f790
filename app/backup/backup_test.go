package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/outcome"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

const prefix = "project"

func TestMain(m *testing.M) { apptest.Main(m, mainOrPart) }

// system is a database and a store, and what a pod would have.
type system struct {
	t       testing.TB
	tree    *imagetest.Tree
	db      *postgrestest.Server
	store   *storagetest.Server
	scratch string
	// visible are folders that throwaway servers see, besides their own.
	visible []string
	servers []server
}

// start makes a database with all of the sample.
func start(t *testing.T) *system {
	t.Helper()
	s := startEmpty(t)
	sample, err := os.ReadFile("testdata/sample.sql")
	require.NoError(t, err)
	s.db.As("postgres").Exec(string(sample))
	return s
}

func startEmpty(t *testing.T) *system {
	t.Helper()
	t.Parallel()
	return newSystem(t)
}

func newSystem(t testing.TB) *system {
	t.Helper()
	s := &system{t: t, tree: imagetest.Open(t), store: storagetest.Start(t, prefix, "other")}
	s.db = postgrestest.StartIn(t, s.tree)
	s.scratch = s.tree.TempDir()
	return s
}

// settings are those of a pod that can do everything.
func (s *system) settings() []string {
	certificate, err := os.ReadFile(s.store.CAFile())
	require.NoError(s.t, err)
	return []string{
		"URL=" + s.db.As("reader").TLSURL(),
		"S3_ENDPOINT=" + s.store.Endpoint(), "S3_PREFIX=" + prefix, "S3_BUCKET=" + storagetest.Bucket,
		"S3_ACCESS_KEY_FILE=" + s.tree.File("access-key", prefix+"\n"), "S3_SECRET_KEY_FILE=" +
			s.tree.File("secret-key", s.store.SecretKey(prefix)),
		"S3_CA_FILE=" + s.tree.File("ca.crt", string(certificate)),
		"SCRATCH_DIR=" + s.scratch, "SERVER_DIR=" + s.serve(), "RETRY=0s", "TERMINATION_LOG=" + s.tree.Dir +
			"/termination-log",
	}
}

// begin starts the app with further settings.
func (s *system) begin(command string, settings ...string) *apptest.Process {
	s.t.Helper()
	return apptest.StartIn(s.t, s.tree, strings.Fields(command), append(s.settings(), settings...)...)
}

// succeed runs the app, which has to succeed, and returns what it logged.
func (s *system) succeed(command string, settings ...string) string {
	s.t.Helper()
	p := s.begin(command, settings...)
	require.Equal(s.t, 0, p.Wait().ExitCode(), p.Logged())
	return p.Logged()
}

// outcome is how the last command ended, as the status of its pod has it.
func (s *system) outcome() (end outcome.Outcome) {
	s.t.Helper()
	line, err := os.ReadFile(s.tree.Path(s.tree.Dir + "/termination-log"))
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(line, &end))
	return end
}

// fail runs the app, which has to fail for reasons that are told in its last line.
func (s *system) fail(command string, reasons []string, settings ...string) {
	s.t.Helper()
	p := s.begin(command, settings...)
	s.hasFailed(p, reasons...)
	s.isClean()
}

// lastingStatus is the exit status of an error that another pod would meet too.
const lastingStatus = 3

func (s *system) hasFailed(p *apptest.Process, reasons ...string) {
	s.t.Helper()
	assert.Contains(s.t, []int{1, lastingStatus}, p.Wait().ExitCode(), p.Logged())
	lines := strings.Split(strings.TrimSpace(p.Logged()), "\n")
	last := strings.ReplaceAll(lines[len(lines)-1], `\"`, `"`)
	for _, reason := range reasons {
		assert.Contains(s.t, last, reason)
	}
	assert.NotContains(s.t, p.Logged(), "correct-horse", "the password")
}

// renewPod gives up the folders of a killed pod, whose throwaway servers have to end with it.
func (s *system) renewPod() {
	s.t.Helper()
	s.areServersIdle()
	s.scratch = s.tree.TempDir()
}

// object is the file of an object, as the store keeps it.
func (s *system) object(parts ...string) string {
	return filepath.Join(append([]string{s.store.DataDir(), storagetest.Bucket, prefix}, parts...)...)
}

// backups are the names of those that have a manifest.
func (s *system) backups() (names []string) {
	found, err := filepath.Glob(s.object("*", "manifest.json"))
	require.NoError(s.t, err)
	for _, manifest := range found {
		names = append(names, filepath.Base(filepath.Dir(manifest)))
	}
	return names
}

// backup makes one and returns its name.
func (s *system) backup(settings ...string) string {
	s.t.Helper()
	before := s.backups()
	s.succeed("run", settings...)
	made := slices.DeleteFunc(s.backups(), func(name string) bool { return slices.Contains(before, name) })
	require.Len(s.t, made, 1)
	return made[0]
}

func (s *system) manifest(name string) manifest.Manifest {
	s.t.Helper()
	stored, err := os.ReadFile(s.object(name, "manifest.json"))
	require.NoError(s.t, err)
	m, err := manifest.Decode(stored, name)
	require.NoError(s.t, err)
	return m
}

// setManifest replaces a manifest by one that is sealed as it should be.
func (s *system) setManifest(name string, m manifest.Manifest) {
	s.t.Helper()
	stored, err := m.Encode()
	require.NoError(s.t, err)
	s.overwrite(stored, name, "manifest.json")
}

// overwrite changes a stored object, and leaves its attributes as they are.
func (s *system) overwrite(content []byte, parts ...string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(s.object(parts...), content, 0o600))
}

func (s *system) read(parts ...string) []byte {
	s.t.Helper()
	content, err := os.ReadFile(s.object(parts...))
	require.NoError(s.t, err)
	return content
}

func (s *system) output(cmd *exec.Cmd) string {
	s.t.Helper()
	said, err := cmd.CombinedOutput()
	require.NoError(s.t, err, string(said))
	return string(said)
}

func TestABackupIsWhatTheDatabaseWas(t *testing.T) {
	s := start(t)
	log := s.succeed("run")
	names := s.backups()
	require.Len(t, names, 1)
	m := s.manifest(names[0])

	assert.Equal(t, "app", m.Database)
	assert.Regexp(t, `^17\.\d+$`, m.Server)
	assert.Equal(t, m.Server, m.Client)
	assert.Equal(t, s.db.As("postgres").Ask(`SELECT system_identifier::text FROM pg_control_system()`), m.System)
	assert.Equal(t, int64(len(s.read(m.Name, "dump"))), m.Dump.Size)
	assert.WithinDuration(t, time.Now(), m.Verified, time.Minute)
	assert.Positive(t, m.Duration())

	rows := map[string]int64{}
	for _, table := range m.Content.Tables {
		rows[table.Schema+"."+table.Name] = table.Rows
	}
	assert.Equal(t, map[string]int64{
		"public.account": 5, "public.entry": 5000, "public.shape": 2, "public.measured_2025": 30,
		"public.measured_2026": 30,
		"public.parent":        1, "public.child": 1, "public.cache": 1, "public.empty": 1, "public.nothing": 0,
		`Odd "names".Select`: 3,
	}, rows)
	assert.Equal(t, []manifest.Sequence{
		{Schema: "public", Name: "account_id_seq", Value: 5, Called: true},
		{Schema: "public", Name: "countdown", Value: 99, Called: true},
		{Schema: "public", Name: "entry_id_seq", Value: 5000, Called: true},
		{Schema: "public", Name: "unused", Value: 7},
	}, m.Content.Sequences)
	assert.Equal(t, []string{"Auditor's", "app", "clerk", "reader"}, m.Content.Roles)

	for _, step := range []string{"took a snapshot", "recorded", "dumped and stored", "restored",
		"recorded the copy", "pruned", "verified backup " + m.Name} {
		assert.Regexp(t, `msg="?`+step, log)
	}
	end := s.outcome()
	assert.True(t, end.OK)
	assert.Equal(t, m.Name, end.Backup)
	assert.WithinDuration(t, time.Now(), end.Ended, time.Minute)
	assert.Regexp(t, `^verified backup `+m.Name+`: 11 tables, 5074 rows, \d+(\.\d)? kB in \S+s$`, end.Said)
	assert.Regexp(t, m.Name+` +app +17\.\d+ +11 +5074 +\S+ kB +\S+s +no +\d+\n`, s.succeed("list"))
	assert.Contains(t, s.succeed("verify"), "verified "+m.Name+": restored and compared")
	assert.Contains(t, s.succeed("verify --checksums "+m.Name), "verified "+m.Name+": checksums compared")
	s.isClean()
}

// Postgres' own program reads what is stored.
func TestADumpIsAnOrdinaryOne(t *testing.T) {
	s := start(t)
	name := s.backup("COMPRESSION_LEVEL=1")
	dump := s.tree.File("dump", string(s.read(name, "dump")))
	assert.Regexp(t, regexp.MustCompile(`Compression: zstd`),
		s.output(s.tree.Command("pg_restore", "--list", dump)))
	rows := s.output(s.tree.Command("pg_restore", "--file=-", "--data-only", "--table=account", dump))
	assert.Contains(t, rows, `tab\t newline\n back\\slash \\N`)
}

func TestAnEmptyDatabase(t *testing.T) {
	s := startEmpty(t)
	m := s.manifest(s.backup())
	assert.Empty(t, m.Content.Tables)
	assert.Contains(t, s.succeed("verify"), "restored and compared")
}

// Large tables are read in parts, of a new copy over several connections.
func TestALargeTable(t *testing.T) {
	s := startEmpty(t)
	s.db.Exec(`CREATE TABLE large (n int, body text); ALTER TABLE large ALTER body SET STORAGE EXTERNAL;
		INSERT INTO large SELECT n, repeat(n::text, CASE WHEN n % 200 = 0 THEN 200000 ELSE 1 END) FROM generate_series(1, 20000) n`)
	conn, err := pgx.Connect(t.Context(), s.db.URL())
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	var whole manifest.RowHash
	_, err = conn.PgConn().CopyTo(t.Context(), &whole, "COPY large (body, n) TO STDOUT")
	require.NoError(t, err)

	name := s.backup()
	assert.Equal(t, []manifest.Table{{Schema: "public", Name: "large", Rows: 20000, Hash: whole.String()}},
		s.manifest(name).Content.Tables)
	s.lose()
	s.restore(name)
}

// Writers go on: of each transaction, all or nothing is in the backup.
func TestABackupIsOfOneMoment(t *testing.T) {
	s := start(t)
	s.db.Exec(`CREATE TABLE pair (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, half int); CREATE TABLE other (id bigint)`)
	stop := make(chan struct{})
	done := make(chan int)
	for range 2 {
		go func() {
			written := 0
			defer func() { done <- written }()
			for ; ; written++ {
				select {
				case <-stop:
					return
				default:
				}
				s.db.Exec(`BEGIN; INSERT INTO pair (half) VALUES (1); UPDATE account SET balance = balance + 1; INSERT INTO pair (half) VALUES (2);
					INSERT INTO other SELECT id FROM pair ORDER BY id DESC LIMIT 1; DELETE FROM other WHERE id % 7 = 0; COMMIT`)
			}
		}()
	}
	var manifests []manifest.Manifest
	for range 3 {
		manifests = append(manifests, s.manifest(s.backup()))
	}
	close(stop)
	require.Positive(t, <-done)
	require.Positive(t, <-done)
	last := int64(0)
	for _, m := range manifests {
		i := slices.IndexFunc(m.Content.Tables, func(table manifest.Table) bool { return table.Name == "pair" })
		assert.Zero(t, m.Content.Tables[i].Rows%2, "half a transaction")
		assert.Greater(t, m.Content.Tables[i].Rows, last, "the writers had to wait")
		last = m.Content.Tables[i].Rows
		j := slices.IndexFunc(m.Content.Sequences,
			func(sequence manifest.Sequence) bool { return sequence.Name == "pair_id_seq" })
		assert.GreaterOrEqual(t, m.Content.Sequences[j].Value, last, "an id would be used twice")
	}
	assert.Contains(t, s.succeed("verify --all"), "restored and compared")
}

// A table that is emptied after the snapshot would look empty in it.
func TestTablesStayAsTheyAreUntilTheyAreDumped(t *testing.T) {
	s := start(t)
	unlock := s.db.LockAll("shape")
	p := s.begin("run")
	s.db.WaitForLock() // for shape, the last one by name; those before it are locked then
	assert.NotContains(t, p.Logged(), "took a snapshot", "the locks come first")
	assert.Equal(t, "55P03", s.db.Refusal("SET lock_timeout = '100ms'; TRUNCATE entry"))
	unlock()
	require.Equal(t, 0, p.Wait().ExitCode(), p.Logged())
	tables := s.manifest(s.backups()[0]).Content.Tables
	i := slices.IndexFunc(tables, func(table manifest.Table) bool { return table.Name == "entry" })
	assert.Equal(t, int64(5000), tables[i].Rows)
}

func TestTwoRunsAtOnce(t *testing.T) {
	s := start(t)
	first, second := s.begin("run"), s.begin("run")
	require.Equal(t, 0, first.Wait().ExitCode(), first.Logged())
	require.Equal(t, 0, second.Wait().ExitCode(), second.Logged())
	require.Len(t, s.backups(), 2)
	assert.Contains(t, s.succeed("verify --all"), "restored and compared")
}

func TestKeysOfAnotherPrefixAreOfNoUse(t *testing.T) {
	s := start(t)
	s.fail("run", []string{"store the dump", "Access Denied"}, "S3_PREFIX=other")
	assert.Empty(t, s.backups())
}

func TestStopping(t *testing.T) {
	s := start(t)
	unlock := s.db.LockAll("shape")
	defer unlock()
	p := s.begin("run")
	s.db.WaitForLock()
	assert.Equal(t, 1, p.Stop(syscall.SIGTERM).ExitCode())
	s.hasFailed(p, "no backup", "told to stop")

	s.fail("run", []string{"not done within 2s (TIMEOUT)", "lock table public.shape"}, "TIMEOUT=2s")
	end := s.outcome()
	assert.False(t, end.OK)
	assert.Empty(t, end.Backup)
	assert.Contains(t, end.Said, "not done within 2s (TIMEOUT): no backup: ")
	assert.Empty(t, s.backups())
}

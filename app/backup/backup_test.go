package main

import (
	"bytes"
	"context"
	"slices"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
)

func TestABackupIsWhatTheDatabaseWas(t *testing.T) {
	s := start(t)
	log := s.succeed("run")
	names := s.backups()
	require.Len(t, names, 1)
	m := s.manifest(names[0])

	assert.Equal(t, "app", m.Database)
	assert.Regexp(t, `^`+imagetest.Major()+`\.\d+$`, m.Server)
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
		"public.account": 5, "public.entry": 5000, "public.shape": 2,
		"public.measured_2025": 30, "public.measured_2026": 30,
		"public.parent": 1, "public.child": 1, "public.cache": 1, "public.empty": 1, "public.nothing": 0,
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
	assert.Regexp(t, m.Name+` +app +`+m.Server+` +11 +5074 +\S+ kB +\S+s +no +\d+\n`, s.succeed("list"))
	assert.Contains(t, s.succeed("verify"), "verified "+m.Name+": restored and compared")
	assert.Contains(t, s.succeed("verify --checksums "+m.Name), "verified "+m.Name+": checksums compared")
	s.isClean()
}

// Postgres' own programs can read what is stored.
func TestADumpIsAnOrdinaryOne(t *testing.T) {
	s := start(t)
	name := s.backup("COMPRESSION_LEVEL=1")
	dump := s.tree.File("dump", string(s.read(name, "dump")))
	assert.Contains(t, s.output(s.tree.Command("pg_restore", "--list", dump)), "Compression: zstd")
	rows := s.output(s.tree.Command("pg_restore", "--file=-", "--data-only", "--table=account", dump))
	assert.Contains(t, rows, `tab\t newline\n back\\slash \\N`)
}

func TestAnEmptyDatabase(t *testing.T) {
	s := startEmpty(t)
	m := s.manifest(s.backup())
	assert.Empty(t, m.Content.Tables)
	assert.Contains(t, s.succeed("verify"), "restored and compared")
}

// A large table is read in parts, from a restored database over several connections.
func TestALargeTable(t *testing.T) {
	s := startEmpty(t)
	s.db.Exec(`CREATE TABLE large (n int, body text); ALTER TABLE large ALTER body SET STORAGE EXTERNAL;
		INSERT INTO large SELECT n, repeat(n::text, CASE WHEN n % 200 = 0 THEN 200000 ELSE 1 END)
		FROM generate_series(1, 20000) n`)
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

// Clients write meanwhile. The backup has all or nothing of each transaction.
func TestABackupIsOfOneMoment(t *testing.T) {
	s := start(t)
	s.db.Exec(`CREATE TABLE pair (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, half int);
		CREATE TABLE other (id bigint)`)
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
				s.db.Exec(`BEGIN; INSERT INTO pair (half) VALUES (1); UPDATE account SET balance = balance + 1;
					INSERT INTO pair (half) VALUES (2); INSERT INTO other SELECT id FROM pair ORDER BY id DESC LIMIT 1;
					DELETE FROM other WHERE id % 7 = 0; COMMIT`)
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

// A table that is truncated after the snapshot would look empty in it.
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

func TestAnEncryptedBackup(t *testing.T) {
	s := start(t)
	mine, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	other, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	identity := "AGE_IDENTITY_FILE=" + s.tree.File("mine", "# the key\n"+mine.String()+"\n")

	name := s.backup("AGE_RECIPIENT=" + mine.Recipient().String())
	dump := s.read(name, "dump")
	assert.True(t, bytes.HasPrefix(dump, []byte("age-encryption.org/v1\n")))
	assert.Equal(t, mine.Recipient().String(), s.manifest(name).Dump.Recipient)
	assert.Contains(t, s.succeed("list"), "to "+mine.Recipient().String())

	s.fail("verify", []string{"encrypted to " + mine.Recipient().String(), "AGE_IDENTITY_FILE", "--checksums"})
	s.fail("verify", []string{"decrypt"}, "AGE_IDENTITY_FILE="+s.tree.File("other", other.String()))
	assert.Contains(t, s.succeed("verify --checksums"), "checksums compared")
	assert.Contains(t, s.succeed("verify", identity), "restored and compared")

	// Postgres' own program reads what age's own decrypts.
	plain, err := age.Decrypt(bytes.NewReader(dump), mine)
	require.NoError(t, err)
	var decrypted bytes.Buffer
	_, err = decrypted.ReadFrom(plain)
	require.NoError(t, err)
	listed := s.output(s.tree.Command("pg_restore", "--list", s.tree.File("dump", decrypted.String())))
	assert.Contains(t, listed, "TABLE DATA public entry app")

	for _, at := range []int{30, len(dump) / 2, len(dump) - 1} { // in the header, and twice in the rest
		damaged := bytes.Clone(dump)
		damaged[at] ^= 1
		s.overwrite(damaged, name, "dump")
		s.fail("verify", []string{"the stored dump is damaged"}, identity)
	}
}

// Whatever pg_dump claims, only what a restore brings back counts.
func TestADumpThatIsNotTheDatabaseIsNoBackup(t *testing.T) {
	s := start(t)
	for _, lie := range []struct{ name, script, reason string }{
		{"without a table", `exec $real --exclude-table=cache "$@"`,
			"compare: the restored copy differs from the database: table public.cache is missing"},
		{"without rows", `exec $real --exclude-table-data=cache "$@"`,
			"compare: the restored copy differs from the database: table public.cache has 0 rows instead of 1"},
		{"without grants", `exec $real --no-privileges "$@"`,
			"compare: the restored copy differs from the database: role Auditor's is missing"},
		{"without comments", `exec $real --no-comments "$@"`,
			"compare: the restored copy differs from the database: in the schema, comment "},
		{"half of it", `$real "$@" | head -c 20000`, "restore the dump: pg_restore: "},
		{"nothing", `exit 0`, "restore the dump: pg_restore: "},
		{"all of it, and a failure", `$real "$@"; echo something failed >&2; exit 1`,
			"dump the database: pg_dump: exit status 1: something failed"},
	} {
		dir := s.replacePgDump("real=" + imagetest.Programs() + "/pg_dump\n" +
			`case "$*" in *--schema-only*) exec $real "$@" ;; *--format=custom*) ;; *) exec $real "$@" ;; esac` +
			"\n" + lie.script)
		s.fail("run", []string{"no backup: " + lie.reason}, "PATH="+dir+":/bin:/usr/bin:"+imagetest.Programs())
		assert.Empty(t, s.backups(), lie.name)
	}
}

package main

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
)

// specimen is a database of testdata/corpus. Lines at the head of its file say what is special:
//
//	-- Database: …          options of CREATE DATABASE
//	-- Refused: … | …       why it cannot be backed up
//	-- By hand: … | …       why a restore leaves it to a superuser
//	-- Says: … | …          further messages
//	-- Reworded             a restored database writes the same schema in other words
//	-- Moved                a restored database has rows in other partitions
//	-- Archive lacks: …     tables whose rows are not in the archive
type specimen struct {
	name, sql, options, lacks string
	refused, byHand, says     []string
	reworded, moved           bool
}

var headLine = regexp.MustCompile(
	`(?m)^-- (Database|Refused|By hand|Says|Reworded|Moved|Archive lacks):? ?(.*)$`)

// specimens returns a third of the corpus by seed, or what CORPUS names, or all.
func specimens(t *testing.T) (chosen []specimen) {
	t.Helper()
	files, err := filepath.Glob("testdata/corpus/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	const parts = 3
	wanted := os.Getenv("CORPUS")
	seed, err := strconv.Atoi(cmp.Or(os.Getenv("CORPUS_SEED"), strconv.FormatInt(time.Now().Unix(), 10)))
	require.NoError(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		s := specimen{name: strings.TrimSuffix(filepath.Base(file), ".sql"), sql: string(content)}
		for _, line := range headLine.FindAllStringSubmatch(s.sql, -1) {
			switch value := line[2]; line[1] {
			case "Database":
				s.options = value
			case "Refused":
				s.refused = strings.Split(value, " | ")
			case "By hand":
				s.byHand = strings.Split(value, " | ")
			case "Says":
				s.says = strings.Split(value, " | ")
			case "Archive lacks":
				s.lacks = value
			case "Moved":
				s.moved = true
			case "Reworded":
				s.reworded = true
			}
		}
		hash := fnv.New32a()
		fmt.Fprint(hash, s.name)
		if wanted == "all" || slices.Contains(strings.Fields(wanted), s.name) ||
			wanted == "" && (int(hash.Sum32())+seed)%parts == 0 {
			chosen = append(chosen, s)
		}
	}
	t.Logf("%d of %d databases; CORPUS_SEED=%d has the same", len(chosen), len(files), seed)
	return chosen
}

// tested is a specimen on a server, with its first dump.
type tested struct {
	specimen
	*system
	whole string
}

// Each database is equal after a restore from a backup and from the archive, or there is a known reason.
func TestCorpus(t *testing.T) {
	s := startEmpty(t)
	superuser := s.db.As("postgres").In("postgres")
	superuser.Exec(`ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements`) // from the next start on
	superuser.Exec(`ALTER SYSTEM SET autovacuum = off`)
	superuser.Exec(`ALTER SYSTEM SET max_wal_size = '128MB'`)
	superuser.Exec(`SELECT pg_reload_conf()`)
	archiver := s.archive() // its base backup is quick while there is little data
	var all []*tested
	for _, specimen := range specimens(t) {
		one := &tested{specimen: specimen, system: s}
		one.create(one.options)
		file := s.tree.File(one.name+".sql", one.sql)
		s.output(s.tree.Command("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file="+file,
			"--dbname="+s.db.As("postgres").In(one.name).URL()))
		one.whole = one.dumped(one.name)
		all = append(all, one)
	}
	at := time.Now().UTC().Format(time.RFC3339Nano)
	superuser.Exec(`SELECT pg_current_xact_id()`)
	time.Sleep(2 * time.Second) // the archive tells times to the second
	archiver.Switch()

	settings := s.settings()
	var refused, byHand int
	for _, one := range all {
		switch {
		case one.refused != nil:
			refused++
		case one.byHand != nil:
			byHand++
		}
	}
	t.Run("backup", func(t *testing.T) {
		for _, one := range all {
			t.Run(one.name, func(t *testing.T) {
				t.Parallel()
				one.in(t).backUpAndRestore(t, settings)
			})
		}
	})
	var names []string
	for _, one := range all {
		one.drop()
		one.create(one.options)
		names = append(names, one.name)
	}
	p := apptest.StartIn(t, s.tree, []string{restoringArchived}, append(settings,
		"URL="+s.db.As("restorer").In("postgres").TLSURL(), "OTHER_SERVER_DIR="+s.serve(),
		"DATABASES="+strings.Join(names, " "), "AT="+at)...)
	require.Equal(t, 0, p.WaitFor(10*time.Minute).ExitCode(), p.Logged())
	for _, one := range all {
		t.Run("archive/"+one.name, func(t *testing.T) { one.in(t).hasComeBack(t, p.Logged()) })
	}
	t.Logf("%d databases: %d are equal after all ways, or have said what is not", len(all),
		len(all)-refused-byHand)
	t.Logf("%d are restored by hand, and %d were refused with a reason", byHand, refused)
}

// in returns the same for a subtest.
func (d *tested) in(t *testing.T) *tested {
	return &tested{d.specimen, d.with(t), d.whole}
}

func (d *tested) create(options string) {
	system := d.db.As("postgres").In("postgres")
	system.Exec(fmt.Sprintf(`CREATE DATABASE %q OWNER app STRATEGY file_copy %s`, d.name, options))
	system.Exec(fmt.Sprintf(`REVOKE ALL ON DATABASE %q FROM PUBLIC`, d.name))
	system.Exec(fmt.Sprintf(`GRANT CONNECT ON DATABASE %q TO reader`, d.name))
}

func (d *tested) drop() {
	d.db.As("postgres").In("postgres").Exec(fmt.Sprintf(`DROP DATABASE %q WITH (FORCE)`, d.name))
}

// backUpAndRestore backs the database up, verifies the backup and restores it.
func (d *tested) backUpAndRestore(t *testing.T, settings []string) {
	scratch, servers := d.tree.TempDir(), d.serve()
	begin := func(role string, args ...string) *apptest.Process {
		return apptest.StartIn(t, d.tree, args, append(slices.Clone(settings), "RETRY=1m",
			"SCRATCH_DIR="+scratch, "SERVER_DIR="+servers, "TERMINATION_LOG="+scratch+".log",
			"S3_PREFIX="+path.Join(prefix, d.name), "URL="+d.db.As(role).In(d.name).TLSURL())...)
	}
	p := begin("reader", "run")
	code := p.WaitFor(5 * time.Minute).ExitCode()
	log := unquoted(p.Logged())
	assert.NotContains(t, log, "trying again")
	if d.refused != nil {
		assert.Equal(t, lastingStatus, code, log)
		for _, reason := range d.refused {
			assert.Contains(t, log, reason)
		}
		return
	}
	require.Equal(t, 0, code, log)
	for _, note := range d.says {
		assert.Contains(t, log, note)
	}
	made, err := filepath.Glob(d.object(d.name, "*", "manifest.json"))
	require.NoError(t, err)
	require.Len(t, made, 1)
	name := filepath.Base(filepath.Dir(made[0]))
	p = begin("reader", "verify", name)
	require.Equal(t, 0, p.WaitFor(5*time.Minute).ExitCode(), p.Logged())

	d.drop()
	d.create(d.options)
	p = begin("restorer", "restore", name)
	if d.byHand != nil {
		assert.Equal(t, lastingStatus, p.WaitFor(5*time.Minute).ExitCode(), p.Logged())
		for _, reason := range d.byHand {
			assert.Contains(t, unquoted(p.Logged()), reason)
		}
		return
	}
	require.Equal(t, 0, p.WaitFor(5*time.Minute).ExitCode(), p.Logged())
	d.isEqual(t, "", "")
}

// hasComeBack checks the restore from the archive, and its log.
func (d *tested) hasComeBack(t *testing.T, log string) {
	failed := regexp.MustCompile(`level=ERROR msg="not restored" database=` + d.name +
		` error=.*`).FindString(log)
	if failed != "" {
		reasons := append(slices.Clone(d.refused), d.byHand...)
		require.NotEmpty(t, reasons, failed)
		for _, reason := range reasons {
			assert.Contains(t, unquoted(failed), reason)
		}
		return
	}
	assert.Contains(t, log, "database="+d.name+" unlogged=["+d.lacks+"]")
	d.isEqual(t, d.lacks, `setval\(.*\)`) // the log has values of sequences in advance
}

// isEqual compares a dump with the first one. It leaves out the rows of the tables in lacking, and matches of
// the pattern ignored.
func (d *tested) isEqual(t *testing.T, lacking, ignored string) {
	now, before := d.dumped(d.name), d.whole
	if ignored != "" {
		pattern := regexp.MustCompile(ignored)
		now, before = pattern.ReplaceAllString(now, ""), pattern.ReplaceAllString(before, "")
	}
	if lacking != "" {
		rows := regexp.MustCompile(`(?m)^COPY ` + lacking + ` .*\n(?s:.*?)^\\\.\n`)
		require.Regexp(t, rows, before)
		now, before = rows.ReplaceAllString(now, ""), rows.ReplaceAllString(before, "")
	}
	if d.reworded {
		// Expressions may be written in other words, but must not change any more.
		words := regexp.MustCompile(`(?m)^.*::.*$`)
		now, before = words.ReplaceAllString(now, "…"), words.ReplaceAllString(before, "…")
	}
	if d.moved {
		assert.ElementsMatch(t, strings.Split(before, "\n"), strings.Split(now, "\n"))
		return
	}
	assert.Equal(t, before, now)
}

// unquoted returns a log without the escapes that slog puts before quotes.
func unquoted(log string) string { return strings.ReplaceAll(log, `\"`, `"`) }

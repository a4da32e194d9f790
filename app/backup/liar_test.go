package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever pg_dump says of itself, what counts is what a restore brings back.
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
		dir := s.tree.TempDir()
		script := "#!/bin/sh\nreal=/usr/lib/postgresql/17/bin/pg_dump\n" +
			"case \"$*\" in *--schema-only*) exec $real \"$@\" ;; *--format=custom*) ;; *) exec $real \"$@\" ;; esac\n" + lie.script + "\n"
		require.NoError(t, os.WriteFile(s.tree.Path(dir+"/pg_dump"), []byte(script), 0o755))
		s.fail("run", []string{"no backup: " + lie.reason}, "PATH="+dir+":/bin:/usr/bin:/usr/lib/postgresql/17/bin")
		assert.Empty(t, s.backups(), lie.name)
	}
}

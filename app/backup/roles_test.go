package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// spying lists the processes of its container that match a pattern, and the files that a container may own.
const spying = `#!/bin/sh
cat >/dev/null
[ ! -e %[2]s/$1 ] || exit 0
grep -rlsaE --exclude='*.test' '%[1]s' /tmp /run /var /home /root /etc \
	/proc/[0-9]*/environ /proc/[0-9]*/cmdline >%[2]s/$1 2>/dev/null
`

// makeHostile fills the database with code that runs spying wherever it can, and returns the folder of its
// traces.
func (s *system) makeHostile() (dir string) {
	s.t.Helper()
	dir = s.tree.TempDir()
	s.visible = append(s.visible, dir)
	require.NoError(s.t, os.WriteFile(s.tree.Path(dir+"/look"), fmt.Appendf(nil, spying, s.secrets(), dir),
		0o755))
	hostile, err := os.ReadFile("testdata/hostile.sql")
	require.NoError(s.t, err)
	s.db.As("postgres").Exec(strings.ReplaceAll(string(hostile), ":dir", dir))
	return dir
}

// traces returns the kinds of code that ran as a superuser, with what they found.
func (s *system) traces(dir, of string) map[string]string {
	s.t.Helper()
	paths, err := filepath.Glob(s.tree.Path(dir + "/" + of + "-*"))
	require.NoError(s.t, err)
	kinds := map[string]string{}
	for _, path := range paths {
		found, err := os.ReadFile(path)
		require.NoError(s.t, err)
		kinds[strings.TrimPrefix(filepath.Base(path), of+"-")] = string(found)
	}
	return kinds
}

func TestCodeInADatabaseReachesNothing(t *testing.T) {
	s := startEmpty(t)
	dir := s.makeHostile()
	whole := s.dumped("app")
	name := s.backup()
	s.lose()
	s.restore(name)
	assert.Equal(t, whole, s.dumped("app"))
	s.restore(name, "RESTORE_OVER=app")
	s.archive()
	s.succeed("verify")
	s.restore("end-"+s.archives()[0], "RESTORE_OVER=app")
	assert.Equal(t, whole, s.dumped("app"))

	assert.Empty(t, s.traces(dir, "live"), "run as a superuser of the live server")
	kinds := s.traces(dir, "copy")
	t.Log("run in the container of throwaway servers:", kinds)
	for _, kind := range []string{"check", "domain", "generated", "cast"} {
		assert.Contains(t, kinds, kind, "the code does what it can")
	}
	for kind, found := range kinds {
		assert.Empty(t, found, kind)
	}
}

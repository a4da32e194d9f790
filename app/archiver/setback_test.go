package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// After a server's volume was set back to a snapshot, it writes other segments under names that it has
// archived.
func TestAServerThatWasSetBackBeginsAnotherArchive(t *testing.T) {
	for name, segments := range map[string]int{"far": 4, "within a segment": 0} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.db.Exec("CREATE TABLE todo (title text)")
			s.archiver.Switch()
			s.db.Kill()
			data := s.tree.Path(s.data())
			restrict(t, filepath.Join(data, "postgresql.conf"))
			cp(t, data, data+".snapshot")
			s.db.Restart()
			for range segments {
				s.endSegment()
			}
			s.db.Exec("INSERT INTO todo VALUES ('buy milk')")
			s.archiver.Switch()
			s.db.Kill()
			require.NoError(t, os.RemoveAll(data))
			require.NoError(t, os.Rename(data+".snapshot", data))
			s.db.Restart()
			s.db.Exec("INSERT INTO todo VALUES ('buy bread')")
			s.db.As("postgres").Exec("SELECT pg_switch_wal()")
			s.archiver.WaitForBackups(2)
			const alarm = "level=ERROR msg=\"this server was set back to an earlier state"
			assert.Equal(t, 1, strings.Count(s.archiver.Logged(), alarm))
			s.db.Exec("INSERT INTO todo VALUES ('buy cheese')")
			s.archiver.Switch()
			assert.Equal(t, "0", s.waiting())
			archives := s.stored("archive", "*")
			require.Len(t, archives, 2)
			assert.Equal(t, archives[0]+"-2", archives[1])
		})
	}
}

// restrict forbids ALTER SYSTEM, as the stack does.
func restrict(t *testing.T, configuration string) {
	t.Helper()
	file, err := os.OpenFile(configuration, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString("allow_alter_system = off\n")
	require.NoError(t, errors.Join(err, file.Close()))
}

// data returns the server's data directory, as the server sees it.
func (s *system) data() string {
	for _, variable := range s.db.Local() {
		if value, is := strings.CutPrefix(variable, "PGDATA="); is {
			return value
		}
	}
	return ""
}

func cp(t *testing.T, from, to string) {
	t.Helper()
	said, err := exec.Command("cp", "--archive", from, to).CombinedOutput()
	require.NoError(t, err, string(said))
}

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

const (
	benchRounds   = 3
	benchSize     = 1_000_000_000 // of the dump, at least, in bytes
	benchPatience = 20 * time.Minute
	benchLevel    = 3
)

// BenchmarkBackup measures each part of a backup and its peer, in rounds. `go run ./bench backup` has the
// targets.
func BenchmarkBackup(b *testing.B) {
	s := &benched{system: newSystem(b)}
	s.live = &system{t: b, tree: s.tree, store: s.store, db: postgrestest.StartIn(b, s.tree), scratch: s.scratch}
	s.db.Exec(load.RandomRows(load.GigabyteRows))
	s.await(s.settings(), "run")
	s.name = s.backups()[0]
	size := s.manifest(s.name).Dump.Size
	require.Greater(b, size, int64(benchSize), "the dump is too small")
	s.dump = s.tree.TempDir() + "/dump"
	s.output(exec.Command("cp", s.object(s.name, "dump"), s.tree.Path(s.dump)))
	require.NoError(b, os.Chmod(s.tree.Path(s.dump), 0o644))

	ways := []struct {
		name    string
		measure func() time.Duration
	}{
		{"pg_dump", s.pgDump},
		{storing, func() time.Duration { return s.timePart(storing) }},
		{recordingStoring, func() time.Duration { return s.timePart(recordingStoring) }},
		{"pg_restore", s.pgRestore},
		{"verify", func() time.Duration { return s.await(s.settings(), "verify", s.name) }},
		{"pg_restore-jobs", s.pgRestoreLive},
		{"restore", s.restoreLive},
	}
	seconds := map[string][]float64{}
	for b.Loop() {
		for range benchRounds {
			for _, way := range ways {
				took := way.measure()
				fmt.Printf("%s: %.1f s\n", way.name, took.Seconds())
				seconds[way.name] = append(seconds[way.name], took.Seconds())
			}
			slices.Reverse(ways)
		}
	}
	for name, all := range seconds {
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2], name+"-s")
	}
	b.ReportMetric(float64(size), "dump-B")
}

// benched is a system with a large backup.
type benched struct {
	*system
	name string  // of the backup
	dump string  // the same as a file in the tree
	live *system // one to restore to
}

// await runs the app, which must succeed.
func (s *benched) await(settings []string, args ...string) time.Duration {
	start := time.Now()
	p := apptest.StartIn(s.t, s.tree, args, settings...)
	require.Equal(s.t, 0, p.WaitFor(benchPatience).ExitCode(), p.Logged())
	return time.Since(start)
}

// timePart times a part, and removes what it stored.
func (s *benched) timePart(name string) time.Duration {
	took := s.await(s.settings(), name)
	dumps, err := filepath.Glob(s.object("*", "dump"))
	require.NoError(s.t, err)
	for _, dump := range dumps {
		if dump != s.object(s.name, "dump") {
			require.NoError(s.t, os.RemoveAll(filepath.Dir(dump)))
		}
	}
	return took
}

func (s *benched) pgDump() time.Duration {
	file := s.dump + ".peer"
	took := s.timed("pg_dump", "--format=custom", fmt.Sprintf("--compress=zstd:%d", benchLevel),
		"--file="+file, "--dbname="+s.db.As("reader").TLSURL())
	require.NoError(s.t, os.Remove(s.tree.Path(file)))
	return took
}

// pgRestore restores into a new server with Postgres' default settings.
func (s *benched) pgRestore() time.Duration {
	dir := s.tree.TempDir()
	defer func() { require.NoError(s.t, os.RemoveAll(s.tree.Path(dir))) }()
	data, host := dir+"/data", "--host="+dir
	s.timed("initdb", "--auth=trust", data)
	server := s.tree.Command("postgres", "-D", data, "-k", dir, "-c", "listen_addresses=")
	require.NoError(s.t, server.Start())
	defer func() {
		require.NoError(s.t, server.Process.Signal(syscall.SIGQUIT)) // immediately
		require.NoError(s.t, server.Wait())
	}()
	require.Eventually(s.t, func() bool { return s.tree.Command("pg_isready", host).Run() == nil }, time.Minute,
		50*time.Millisecond)
	for _, role := range []string{"app", "reader"} {
		s.timed("createuser", host, role)
	}
	return s.timed("pg_restore", host, "--dbname=postgres", "--create", "--exit-on-error", s.dump)
}

// restoreLive replaces an empty database of a live server.
func (s *benched) restoreLive() time.Duration {
	s.live.lose()
	s.live.db.As("postgres").Exec("CHECKPOINT")
	return s.await(append(s.live.settings(), "URL="+s.live.db.As("restorer").TLSURL()), "restore", s.name)
}

// pgRestoreLive fills an empty database of the same server over as many connections.
func (s *benched) pgRestoreLive() time.Duration {
	s.live.lose()
	s.live.db.As("postgres").Exec("CHECKPOINT")
	return s.timed("pg_restore", fmt.Sprintf("--jobs=%d", min(runtime.GOMAXPROCS(0), 4)),
		"--dbname="+s.live.db.As("postgres").TLSURL(), "--exit-on-error", s.dump)
}

// timed runs a program of Postgres.
func (s *benched) timed(program string, args ...string) time.Duration {
	start := time.Now()
	s.output(s.tree.Command(program, args...))
	return time.Since(start)
}

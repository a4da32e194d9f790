package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestMain lets the test binary run the first process of a daemon, as the lab's binary does.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == InitCommand {
		if err := Init(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests need root, for example: sudo env PATH=$PATH go test ./cluster")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// sleeper returns a daemon that runs a script. It is stopped when the test ends.
func sleeper(t *testing.T, script string) daemon {
	t.Helper()
	lab := fmt.Sprintf("t%d", os.Getpid())
	d := daemon{
		Lab: lab, Name: "sleeper", Args: []string{"sh", "-c", script}, Log: filepath.Join(t.TempDir(), "log"),
		Cgroup: "sk3s-" + lab + "/sleeper", Grace: 2 * time.Second,
	}
	t.Cleanup(func() {
		require.NoError(t, d.stop(context.Background()))
		require.NoError(t, awaitCgroupsGone(context.Background(), "sk3s-"+lab))
	})
	return d
}

// marked returns the processes with the mark in their command line.
func marked(mark string) []string {
	var found []string
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range processes {
		cmdline, _ := os.ReadFile(filepath.Join(proc, "cmdline"))
		if strings.Contains(string(cmdline), mark) {
			found = append(found, proc)
		}
	}
	return found
}

func start(t *testing.T, d daemon) (pid int) {
	t.Helper()
	started, err := d.start(context.Background())
	require.NoError(t, err)
	require.True(t, started)
	require.NoError(t, poll(context.Background(), "", time.Minute, func() error {
		if pid, _ = find(d.Lab, d.Name); pid == 0 {
			return fmt.Errorf("%s does not run", d.Name)
		}
		return nil
	}))
	return pid
}

func TestADaemonThatRunsAsDescribedIsLeftAlone(t *testing.T) {
	d := sleeper(t, "sleep 1111 & sleep 2222")
	pid := start(t, d)

	started, err := d.start(context.Background())
	require.NoError(t, err)
	assert.False(t, started)
	same, _ := find(d.Lab, d.Name)
	assert.Equal(t, pid, same)

	d.Args = []string{"sh", "-c", "sleep 3333"}
	started, err = d.start(context.Background())
	require.NoError(t, err)
	assert.True(t, started)
	other, _ := find(d.Lab, d.Name)
	assert.NotEqual(t, pid, other)
}

func TestNothingOfADaemonOutlivesItsFirstProcess(t *testing.T) {
	const mark = "271828"
	d := sleeper(t, "sleep "+mark+" & (setsid sleep "+mark+" &) ; sleep "+mark)
	for _, end := range []struct {
		how  string
		what func(pid int) error
	}{
		{"stop", func(int) error { return d.stop(context.Background()) }},
		{"SIGKILL", func(pid int) error { return unix.Kill(pid, unix.SIGKILL) }},
	} {
		pid := start(t, d)
		require.NoError(t, poll(context.Background(), "", time.Minute, func() error {
			if n := len(marked("sleep\x00" + mark)); n != 3 {
				return fmt.Errorf("%d sleepers", n)
			}
			return nil
		}))
		require.NoError(t, end.what(pid))
		require.NoError(t, d.awaitGone(context.Background(), time.Minute), end.how)
		require.NoError(t, awaitCgroupsGone(context.Background(), d.Cgroup), end.how)
		assert.Empty(t, marked("sleep\x00"+mark), end.how)
	}
}

func TestAKilledDaemonCannotSayGoodbye(t *testing.T) {
	goodbye := filepath.Join(t.TempDir(), "goodbye")
	d := sleeper(t, "trap 'touch "+goodbye+"; exit' TERM; while :; do sleep 0.1; done")
	start(t, d)
	require.NoError(t, d.kill(context.Background()))
	assert.NoFileExists(t, goodbye)
	pid, _ := find(d.Lab, d.Name)
	assert.Zero(t, pid)
}

func TestADaemonIsInItsCgroupWhichGoesWithIt(t *testing.T) {
	d := sleeper(t, "sleep 1111")
	pid := start(t, d)
	hierarchies, err := cgroupHierarchies()
	require.NoError(t, err)
	require.NoError(t, poll(context.Background(), "", time.Minute, func() error {
		groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		for _, h := range hierarchies {
			if !strings.Contains(string(groups), ":"+h.controllers+":/"+d.Cgroup+"\n") {
				return fmt.Errorf("it is in %s", groups)
			}
		}
		return err
	}))
	require.NoError(t, d.stop(context.Background()))
	for _, h := range hierarchies {
		assert.NoDirExists(t, filepath.Join(h.mountPoint, d.Cgroup))
	}
}

func TestADaemonThatEndsSaysWhy(t *testing.T) {
	d := sleeper(t, "echo the disk is full >&2; exit 3")
	_, err := d.start(context.Background())
	require.NoError(t, err)
	err = poll(context.Background(), "", time.Minute, func() error {
		if err := d.checkAlive(); err != nil {
			return err
		}
		return fmt.Errorf("still running")
	})
	require.EqualError(t, err, "sleeper ended; the end of "+d.Log+":\nthe disk is full")
}

func TestAnInterruptedStopStillGivesTheDaemonItsTime(t *testing.T) {
	dir := t.TempDir()
	trapped, ended := filepath.Join(dir, "trapped"), filepath.Join(dir, "ended")
	d := sleeper(t, "trap 'sleep 1; touch "+ended+"; exit' TERM; touch "+trapped+"; while :; do sleep 0.1; done")
	d.Grace = time.Minute
	start(t, d)
	require.NoError(t, poll(t.Context(), "", time.Minute, func() error {
		_, err := os.Stat(trapped)
		return err
	}))

	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if err := d.stop(ctx); err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
	assert.FileExists(t, ended)
}

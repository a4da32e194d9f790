package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestALockIsRemovedOnlyWhenItsHolderDied(t *testing.T) {
	lab, _ := newLab(t)
	dir := lab.Dir("pulumi", ".pulumi", "locks", "organization", project, "dev")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	path := filepath.Join(dir, "lock.json")
	held := func(pid int) {
		content, err := json.Marshal(map[string]any{"pid": pid, "hostname": "here"})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, content, 0o644))
	}

	// A process that goes by the name of pulumi.
	sleep, err := exec.LookPath("sleep")
	require.NoError(t, err)
	content, err := os.ReadFile(sleep)
	require.NoError(t, err)
	pulumi := filepath.Join(t.TempDir(), "pulumi")
	require.NoError(t, os.WriteFile(pulumi, content, 0o755))
	living := exec.Command(pulumi, "600")
	require.NoError(t, living.Start())
	require.Eventually(t, func() bool { return isPulumi(living.Process.Pid) }, time.Minute, time.Millisecond,
		"a busy machine shows its name a moment later")

	held(living.Process.Pid)
	err = Recover(context.Background(), lab)
	require.EqualError(t, err, fmt.Sprintf(
		"another pulumi (process %[1]d) works on the stack dev: wait until it "+
			"ends, or end it with kill -INT %[1]d", living.Process.Pid))
	require.Equal(t, err, Idle(lab))
	assert.FileExists(t, path)

	require.NoError(t, living.Process.Kill())
	require.Eventually(t, func() bool { return !isPulumi(living.Process.Pid) }, time.Minute, time.Millisecond,
		"a zombie holds the lock")
	require.NoError(t, Recover(context.Background(), lab))
	assert.NoFileExists(t, path)
	_ = living.Wait() // it was killed

	held(os.Getpid()) // a number that went to another program
	require.NoError(t, Recover(context.Background(), lab))
	assert.NoFileExists(t, path)
}

func TestWhatADeadPulumiHadBegunIsCleared(t *testing.T) {
	lab, _ := newLab(t)
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	require.NoError(t, os.WriteFile(lab.CheckoutDir("bin", "pulumi"),
		[]byte("#!/bin/sh\necho pulumi \"$@\" >>"+said+"\n"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pulumi"), []byte("#!/bin/sh\necho {}\n"),
		0o755)) // exports an empty state
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kubectl"),
		[]byte("#!/bin/sh\n(echo kubectl \"$@\"; cat; echo) >>"+said+"\n"), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	state := lab.Dir("pulumi", ".pulumi", "stacks", project, "dev.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(state), 0o755))
	recovered := func(pending string) string {
		t.Helper()
		require.NoError(t, os.WriteFile(state,
			[]byte(`{"checkpoint":{"latest":{"pending_operations":[`+pending+`]}}}`), 0o644))
		require.NoError(t, os.RemoveAll(said))
		require.NoError(t, Recover(context.Background(), lab))
		calls, _ := os.ReadFile(said)
		return string(calls)
	}
	const (
		namespace = `{"type": "creating", "resource": {"type": "kubernetes:core/v1:Namespace",
			"retainOnDelete": true, "inputs": {"apiVersion": "v1", "kind": "Namespace",
			"metadata": {"name": "project"}}}}`
		image = `{"type": "creating", "resource": {"type": "docker-build:index:Image", "inputs": {"tags": ["a"]}}}`
		job   = `{"type": "creating", "resource": {"type": "kubernetes:batch/v1:Job", "inputs": {
			"apiVersion": "batch/v1", "kind": "Job",
			"metadata": {"name": "restore", "namespace": "project"}, "spec": {}}}}`
		updating = `{"type": "updating", "resource": {"type": "kubernetes:apps/v1:Deployment", "inputs": {
			"apiVersion": "apps/v1", "kind": "Deployment",
			"metadata": {"name": "pingpong", "namespace": "exercises"}}}}`

		deletes = "kubectl delete --ignore-not-found --cascade=foreground --filename -\n"
		refresh = "pulumi refresh --clear-pending-creates --yes --skip-preview --non-interactive\n"
	)
	assert.Empty(t, recovered(""))
	assert.Equal(t, refresh, recovered(namespace+","+image+","+updating),
		"what outlives the stack, is not in the cluster, or was there before")
	cleared := deletes + `{"apiVersion":"v1","items":[{"apiVersion":"batch/v1","kind":"Job",` +
		`"metadata":{"name":"restore","namespace":"project"}}],"kind":"List"}` + "\n" + refresh
	assert.Equal(t, cleared, recovered(namespace+","+job))
	assert.Equal(t, cleared, recovered(strings.ReplaceAll(namespace+","+job, "creating", "deleting")))
}

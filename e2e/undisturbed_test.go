package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// While an up goes on, which is held here, nothing else gets between it and the cluster.
func TestAnUpIsNotDisturbed(t *testing.T) {
	c := newCluster(t)
	leaveSettings(t)
	before := c.keepSomething()
	up := startSession(t, upWith("postgresPasswordVersion=undisturbed"))
	var process int
	eventually(t, func() (err error) {
		process, err = lockHolder()
		return err
	})
	require.NoError(t, syscall.Kill(process, syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(process, syscall.SIGCONT) })
	working := fmt.Sprintf("another pulumi (process %d) works on the stack %s: wait until it ends", process,
		labName())
	for _, test := range []struct {
		cmd  *exec.Cmd
		says string
	}{
		{makeCommand(checkout, "up", labName()), working},
		{makeCommand(checkout, "destroy", labName()), working},
		{makeCommand(checkout, "purge", labName()), working},
		{makeCommand(checkout, "lab-down", labName()), working},
		{upWith(), "the stack is currently locked by 1 lock(s)"},
	} {
		output, err := test.cmd.CombinedOutput()
		assert.Error(t, err, test.cmd)
		assert.Contains(t, string(output), test.says, test.cmd)
	}
	require.NoError(t, syscall.Kill(process, syscall.SIGCONT))
	require.NoError(t, <-up.ended, "%s", up.output)
	c.waitUntilReady()
	assert.Equal(t, before, c.kept())
}

// lockHolder is the process that Pulumi's lock of the stack names.
func lockHolder() (process int, err error) {
	backend, _, _ := strings.Cut(strings.TrimPrefix(os.Getenv("PULUMI_BACKEND_URL"), "file://"), "?")
	locks, err := filepath.Glob(filepath.Join(backend, ".pulumi", "locks", "organization", "stateful-k3s",
		os.Getenv("PULUMI_STACK"), "*.json"))
	if err != nil || len(locks) != 1 {
		return 0, errors.Join(err, fmt.Errorf("the stack has %d locks", len(locks)))
	}
	content, err := os.ReadFile(locks[0])
	if err != nil {
		return 0, err
	}
	var lock struct{ PID int }
	return lock.PID, json.Unmarshal(content, &lock)
}

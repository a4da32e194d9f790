package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// Recover clears what a pulumi that died on this machine left: its lock, and the
// note of objects whose creation it had begun. It fails when that pulumi lives.
func Recover(ctx context.Context, lab layout.Lab) error {
	locks, err := filepath.Glob(lab.Dir("pulumi", ".pulumi", "locks", "organization", project, lab.Name, "*.json"))
	if err != nil {
		return err
	}
	for _, path := range locks {
		pid, err := lockHolder(path)
		if err != nil {
			return fmt.Errorf("reading Pulumi's lock %s: %w", path, err)
		}
		if isPulumi(pid) {
			return fmt.Errorf("another pulumi (process %d) works on the stack %s: wait until it ends", pid, lab.Name)
		}
		slog.Info("removing the lock of a pulumi that died", "process", pid)
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	pending, err := hasPendingOperations(lab)
	if err != nil {
		return fmt.Errorf("reading the state of the stack %s: %w", lab.Name, err)
	}
	if !pending {
		return nil
	}
	slog.Info("clearing what a pulumi that died had begun to create")
	return runPulumi(ctx, lab, "refresh", "--clear-pending-creates", "--yes", "--skip-preview")
}

func lockHolder(path string) (pid int, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var lock struct{ PID int }
	return lock.PID, json.Unmarshal(content, &lock)
}

// isPulumi guards against process numbers that went to other programs, and
// against zombies, which have no command line.
func isPulumi(pid int) bool {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	program, _, _ := strings.Cut(string(cmdline), "\x00")
	return err == nil && strings.HasPrefix(filepath.Base(program), "pulumi")
}

func hasPendingOperations(lab layout.Lab) (bool, error) {
	content, err := os.ReadFile(lab.Dir("pulumi", ".pulumi", "stacks", project, lab.Name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var state struct {
		Checkpoint struct {
			Latest struct {
				PendingOperations []json.RawMessage `json:"pending_operations"`
			}
		}
	}
	if err := json.Unmarshal(content, &state); err != nil {
		return false, err
	}
	return len(state.Checkpoint.Latest.PendingOperations) > 0, nil
}

package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// Recover cleans up after a killed pulumi of this machine: its lock, and objects that it had begun to create
// or delete. It fails while a pulumi works on the stack.
func Recover(ctx context.Context, lab layout.Lab) error {
	// This comes before the locks: a pulumi that starts later must not count.
	pending, err := pendingOperations(lab)
	if err != nil {
		return fmt.Errorf("reading the state of the stack %s: %w", lab.Name, err)
	}
	left, err := locks(lab)
	if err != nil {
		return err
	}
	for _, path := range left {
		slog.Info("removing the lock of a killed pulumi", "lock", path)
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	if len(pending) == 0 {
		return nil
	}
	slog.Info("deleting what a killed pulumi had begun to create or delete")
	if err := deleteUnfinished(ctx, lab, pending); err != nil {
		return err
	}
	return runPulumi(ctx, lab, "refresh", "--clear-pending-creates", "--yes", "--skip-preview")
}

// deleteUnfinished deletes objects that the state does not know, since the next update may want others, and
// waits for deletions that have begun, since the next update would keep the objects.
func deleteUnfinished(ctx context.Context, lab layout.Lab, pending []operation) error {
	objects := []object{}
	for _, p := range pending {
		if (p.Type == "creating" || p.Type == "deleting") && strings.HasPrefix(p.Resource.Type, "kubernetes:") &&
			!p.Resource.RetainOnDelete {
			objects = append(objects, p.Resource.Inputs)
		}
	}
	if len(objects) == 0 {
		return nil
	}
	list, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": objects})
	if err != nil {
		return err
	}
	cluster, err := findCluster(ctx, lab)
	if err != nil {
		return err
	}
	defer cluster.close()
	cmd := cluster.kubectl(ctx, "delete", "--ignore-not-found", "--cascade=foreground", "--filename", "-")
	cmd.Stdin = bytes.NewReader(list)
	defer progress.Start("waiting for deletions", nil)()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// Idle fails if a pulumi works on the lab's stack.
func Idle(lab layout.Lab) error {
	_, err := locks(lab)
	return err
}

// locks returns the locks of dead pulumis. It fails if a living one has a lock.
func locks(lab layout.Lab) ([]string, error) {
	locks, err := filepath.Glob(lab.Dir("pulumi", ".pulumi", "locks", "organization", project, lab.Name,
		"*.json"))
	if err != nil {
		return nil, err
	}
	for _, path := range locks {
		pid, err := lockHolder(path)
		if err != nil {
			return nil, fmt.Errorf("reading Pulumi's lock %s: %w", path, err)
		}
		if isPulumi(pid) {
			return nil, fmt.Errorf("another pulumi (process %[1]d) works on the stack %[2]s: wait until it ends, or "+
				"end it with kill -INT %[1]d", pid, lab.Name)
		}
	}
	return locks, nil
}

func lockHolder(path string) (pid int, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var lock struct{ PID int }
	return lock.PID, json.Unmarshal(content, &lock)
}

// isPulumi tells a pulumi from a program that got its process number, and from a zombie: those have no
// command line.
func isPulumi(pid int) bool {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	program, _, _ := strings.Cut(string(cmdline), "\x00")
	return err == nil && strings.HasPrefix(filepath.Base(program), "pulumi")
}

// operation is an operation that a pulumi had begun but not finished.
type operation struct {
	Type     string
	Resource struct {
		Type           string
		RetainOnDelete bool
		Inputs         object
	}
}

// object names an object of Kubernetes.
type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
}

func pendingOperations(lab layout.Lab) ([]operation, error) {
	content, err := os.ReadFile(lab.Dir("pulumi", ".pulumi", "stacks", project, lab.Name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var state struct {
		Checkpoint struct {
			Latest struct {
				PendingOperations []operation `json:"pending_operations"`
			}
		}
	}
	if err := json.Unmarshal(content, &state); err != nil {
		return nil, err
	}
	return state.Checkpoint.Latest.PendingOperations, nil
}

package stack

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/files"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// copies is the number of copies of the state that Keep keeps.
const copies = 5

// Keep copies the state of the lab's stack and its passphrase, unless the last copy has the same state.
// Copies are laid out as the lab's directory and named by the time.
func Keep(lab layout.Lab, now time.Time) error {
	state := filepath.Join("pulumi", ".pulumi", "stacks", project, lab.Name+".json")
	content, err := os.ReadFile(lab.Dir(state))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // Pulumi has another backend
	}
	if err != nil {
		return err
	}
	have, err := filepath.Glob(lab.Dir("copies", "*Z")) // in order
	if err != nil {
		return err
	}
	if len(have) > 0 {
		if last, err := os.ReadFile(filepath.Join(have[len(have)-1], state)); err == nil &&
			bytes.Equal(last, content) {
			return nil
		}
	}
	fresh := lab.Dir("copies", now.UTC().Format("20060102T150405Z"))
	partial := lab.Dir("copies", "partial") // an interrupted run may have left it
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	for _, name := range []string{state, "passphrase", filepath.Join("pulumi", ".pulumi", "meta.yaml"),
		filepath.Join("pulumi", "Pulumi."+lab.Name+".yaml")} {
		content, err := os.ReadFile(lab.Dir(name))
		if err != nil {
			return err
		}
		if err := files.Write(filepath.Join(partial, name), content, 0o600); err != nil {
			return err
		}
	}
	if err := os.Rename(partial, fresh); err != nil {
		return fmt.Errorf("publishing the copy: %w", err)
	}
	for _, old := range have[:max(0, len(have)+1-copies)] {
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	return nil
}

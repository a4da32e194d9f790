package tools

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// copyFromPath is the first source of tools: programs on PATH in exactly the pinned version. It copies them,
// so that they stay as they are when the user installs others.
func (s Store) copyFromPath(ctx context.Context, missing []Tool) error {
	for _, r := range s.releasesOf(missing) {
		found := r.onPath(ctx)
		if found == "" {
			continue
		}
		err := s.add(ctx, r, missing, func(dir string) error { return r.copyFrom(ctx, found, dir) })
		if err != nil {
			return fmt.Errorf("copying %s: %w", found, err)
		}
		slog.Info("found on PATH", "tool", r.names(), "version", r.Says, "at", found)
	}
	return nil
}

// onPath returns the path of the release's first tool, if it is on PATH with the other tools beside it.
func (r Release) onPath(ctx context.Context) string {
	if r.AskVersion == "" {
		return ""
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		found, err := filepath.EvalSymlinks(filepath.Join(dir, r.Tools[0].Tool))
		if err == nil && r.hasVersion(ctx, found) && r.completeIn(filepath.Dir(found)) {
			return found
		}
	}
	return ""
}

func (r Release) completeIn(dir string) bool {
	return r.SelfExtracting ||
		!slices.ContainsFunc(r.Tools, func(m Member) bool { return !isProgram(filepath.Join(dir, m.Tool)) })
}

func (r Release) copyFrom(ctx context.Context, found, dir string) error {
	if r.SelfExtracting {
		return r.extractItself(ctx, found, dir)
	}
	for _, m := range r.Tools {
		if err := copyProgram(filepath.Join(filepath.Dir(found), m.Tool), filepath.Join(dir, m.Tool)); err != nil {
			return err
		}
	}
	return nil
}

// hasVersion asks a binary for its version.
func (r Release) hasVersion(ctx context.Context, binary string) bool {
	if !isProgram(binary) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, r.AskVersion).Output()
	line, _, _ := strings.Cut(string(out), "\n")
	return err == nil && slices.Contains(strings.Fields(line), r.Says)
}

// isProgram tells a binary from a script, such as the wrapper of pulumi that a lab's shell has on PATH.
func isProgram(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	magic := make([]byte, 4)
	n, _ := file.Read(magic)
	return bytes.Equal(magic[:n], []byte("\x7fELF"))
}

package tools

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// onPath finds the first tool of the publication on PATH, in exactly its version, with the others beside it.
func (p Publication) onPath(ctx context.Context) (found string, ok bool) {
	if p.version == "" {
		return "", false
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		found, err := filepath.EvalSymlinks(filepath.Join(dir, p.Tools[0].Tool))
		if err == nil && p.is(ctx, found) && p.complete(filepath.Dir(found)) {
			return found, true
		}
	}
	return "", false
}

// complete says whether the directory has all tools, or k3s, which brings them.
func (p Publication) complete(dir string) bool {
	return p.Form == SelfExtracting ||
		!slices.ContainsFunc(p.Tools, func(m Member) bool { return !isProgram(filepath.Join(dir, m.Tool)) })
}

// copyFrom takes the tools that were found on PATH, so that they stay as they are when the user installs
// others.
func (p Publication) copyFrom(ctx context.Context, found, dir string) error {
	if p.Form == SelfExtracting {
		return p.extractItself(ctx, found, dir)
	}
	for _, m := range p.Tools {
		if err := copyProgram(filepath.Join(filepath.Dir(found), m.Tool), filepath.Join(dir, m.Tool)); err != nil {
			return err
		}
	}
	return nil
}

// is asks a binary whether it has the pinned version.
func (p Publication) is(ctx context.Context, binary string) bool {
	if !isProgram(binary) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, p.version).Output()
	line, _, _ := strings.Cut(string(out), "\n")
	return err == nil && slices.Contains(strings.Fields(line), p.says)
}

// isProgram tells a program from a script, such as the one that a lab's own shell has in front of pulumi.
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

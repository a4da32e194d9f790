package tools

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
)

// unpack puts the tools of a published file into the directory, under their names.
func (p Publication) unpack(ctx context.Context, file, dir string) error {
	switch p.Form {
	case Archive:
		return p.unpackArchive(file, dir)
	case SelfExtracting:
		return p.extractItself(ctx, file, dir)
	default:
		return copyProgram(file, filepath.Join(dir, p.Tools[0].Tool))
	}
}

func (p Publication) unpackArchive(file, dir string) error {
	defer progress.Start("unpacking "+p.Name, nil)()
	compressed, err := os.Open(file)
	if err != nil {
		return err
	}
	defer compressed.Close()
	stream, err := gzip.NewReader(compressed)
	if err != nil {
		return err
	}
	wanted := map[string]string{}
	for _, m := range p.Tools {
		wanted[m.Path] = m.Tool
	}
	for entries := tar.NewReader(stream); len(wanted) > 0; {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("it lacks %v", wanted)
		}
		if err != nil {
			return err
		}
		name := path.Clean(entry.Name)
		if tool, ok := wanted[name]; ok && entry.Typeflag == tar.TypeReg {
			if err := writeProgram(entries, filepath.Join(dir, tool)); err != nil {
				return err
			}
			delete(wanted, name)
		}
	}
	return nil
}

// extractItself has k3s unpack the programs that it carries, which it does before
// it runs any of them. What it unpacks is one program for all that k3s does, the
// same that the lab compiles otherwise. K3S_DATA_DIR says where to; a k3s that was
// installed on this machine has it in its own place already and unpacks nothing.
// Source: https://github.com/k3s-io/k3s/blob/v1.35.0%2Bk3s1/cmd/k3s/main.go
func (p Publication) extractItself(ctx context.Context, file, dir string) error {
	defer progress.Start("having "+p.Name+" extract itself", nil)()
	data := filepath.Join(dir, "data")
	cmd := exec.CommandContext(ctx, file, "kubectl", "version", "--client")
	cmd.Env = append(os.Environ(), "K3S_DATA_DIR="+data)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("having it extract itself: %w: %s", err, said)
	}
	for _, from := range []string{data, "/var/lib/rancher/k3s"} {
		bin := filepath.Join(from, "data", "current", "bin")
		if !p.is(ctx, filepath.Join(bin, p.Tools[0].Tool)) {
			continue
		}
		for _, m := range p.Tools {
			if err := copyProgram(filepath.Join(bin, m.Tool), filepath.Join(dir, m.Tool)); err != nil {
				return err
			}
		}
		return os.RemoveAll(data)
	}
	return fmt.Errorf("it extracted no k3s %s", p.says)
}

func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	return writeProgram(source, to)
}

func writeProgram(from io.Reader, to string) error {
	file, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Close())
}

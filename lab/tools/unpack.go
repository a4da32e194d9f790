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

// unpack puts the tools of a downloaded release into the directory, under their names.
func (r Release) unpack(ctx context.Context, file, dir string) error {
	switch {
	case r.isArchive():
		return r.unpackArchive(file, dir)
	case r.SelfExtracting:
		return r.extractItself(ctx, file, dir)
	default:
		return copyProgram(file, filepath.Join(dir, r.Tools[0].Tool))
	}
}

func (r Release) unpackArchive(file, dir string) error {
	defer progress.Start("unpacking "+r.Name, nil)()
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
	for _, m := range r.Tools {
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

// extractItself makes k3s extract its programs, which it does before it runs any of them, into K3S_DATA_DIR.
// A k3s that is installed on this machine has extracted them already and does nothing. The result is one
// program for everything that k3s does, as the lab compiles it. Source:
// https://github.com/k3s-io/k3s/blob/v1.35.0%2Bk3s1/cmd/k3s/main.go
func (r Release) extractItself(ctx context.Context, file, dir string) error {
	defer progress.Start("extracting "+r.Name, nil)()
	data := filepath.Join(dir, "data")
	cmd := exec.CommandContext(ctx, file, "kubectl", "version", "--client")
	cmd.Env = append(os.Environ(), "K3S_DATA_DIR="+data)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("it does not extract itself: %w: %s", err, out)
	}
	for _, from := range []string{data, "/var/lib/rancher/k3s"} {
		bin := filepath.Join(from, "data", "current", "bin")
		if !r.hasVersion(ctx, filepath.Join(bin, r.Tools[0].Tool)) {
			continue
		}
		for _, m := range r.Tools {
			if err := copyProgram(filepath.Join(bin, m.Tool), filepath.Join(dir, m.Tool)); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("it extracted no k3s %s", r.Says)
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
	return errors.Join(err, file.Sync(), file.Close()) // see flush
}

// Package files replaces files and links, so that readers find the old or the new one.
package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces a file as a whole. It makes the directory.
func Write(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", content, mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Link makes or replaces a symbolic link at once, as others may follow it. It makes the directory, and leaves
// a correct link alone.
func Link(target, link string) error {
	if now, err := os.Readlink(link); err == nil && now == target {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return err
	}
	if err := os.Remove(link + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) { // of an interrupted run
		return err
	}
	if err := os.Symlink(target, link+".new"); err != nil {
		return err
	}
	return os.Rename(link+".new", link)
}

// Package files replaces files and links, so that readers find the old or the new one.
package files

import (
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces a file as a whole. It makes the directory.
func Write(path string, content []byte, mode fs.FileMode) error {
	return replace(path, func(partial string) error { return os.WriteFile(partial, content, mode) })
}

// Link makes or replaces a symbolic link. It makes the directory, and leaves a correct link alone.
func Link(target, link string) error {
	if now, err := os.Readlink(link); err == nil && now == target {
		return nil
	}
	return replace(link, func(partial string) error { return os.Symlink(target, partial) })
}

// replace creates a file under a name of its own and renames it: another lab may replace the same file.
func replace(path string, create func(partial string) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	partial := path + ".new" + rand.Text()
	err := create(partial)
	if err == nil {
		err = os.Rename(partial, path)
	}
	if err != nil {
		_ = os.Remove(partial)
	}
	return err
}

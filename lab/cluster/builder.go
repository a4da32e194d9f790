package cluster

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// makeBuilder gives the builder of a new lab what that of a deleted one has kept.
func makeBuilder(lab layout.Lab) error {
	_, err := os.Stat(lab.Builder())
	if errors.Is(err, fs.ErrNotExist) {
		err = os.Rename(lab.BuilderCache(), lab.Builder())
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = os.Mkdir(lab.Builder(), 0o700)
	}
	if err != nil {
		return err
	}
	return os.Chmod(lab.Builder(), 0o700) // it outlives the lab's own directory
}

// keepBuilder leaves what the lab's builder keeps to the next new lab.
func keepBuilder(lab layout.Lab) error {
	if err := os.RemoveAll(lab.BuilderCache()); err != nil {
		return err
	}
	err := os.Rename(lab.Builder(), lab.BuilderCache())
	if errors.Is(err, fs.ErrNotExist) ||
		errors.Is(err, unix.ENOTEMPTY) { // another lab was deleted at the same time
		return nil
	}
	return err
}

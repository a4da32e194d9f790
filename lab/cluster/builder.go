package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// startBuilder starts BuildKit, which builds the images of the apps. Builds use the machine's network, so
// they download Go modules as the machine does.
func startBuilder(ctx context.Context, a access, binaries tools.Binaries, owner Owner) error {
	config := render("buildkitd.toml", map[string]any{"Lab": a.lab, "Owner": owner, "Runc": binaries["runc"]})
	path := a.lab.Dir("buildkitd.toml")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return err
	}
	d := service(a.lab, "buildkitd", binaries["buildkitd"], "--config", path)
	d.Env = []string{"PATH=" + filepath.Dir(binaries["runc"]) + ":" + systemPath}
	d.Inputs = fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, config, string(a.certificate))))
	if _, err := d.start(ctx); err != nil {
		return err
	}
	return d.await(ctx, 30*time.Second, func() error {
		connection, err := net.Dial("unix", a.lab.BuildkitSocket())
		if err != nil {
			return err
		}
		return connection.Close()
	})
}

// createBuilderDir gives a new lab's builder the cache of a deleted lab's builder, if there is one.
func createBuilderDir(lab layout.Lab) error {
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

// keepBuilderCache leaves the cache of the lab's builder to the next new lab, in place of an earlier one.
func keepBuilderCache(lab layout.Lab) error {
	if !exists(lab.Builder()) {
		return nil
	}
	// Another lab may take the earlier one while it is removed, and would have half of it.
	earlier := lab.Builder() + ".earlier"
	if err := os.Rename(lab.BuilderCache(), earlier); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.RemoveAll(earlier); err != nil {
		return err
	}
	err := os.Rename(lab.Builder(), lab.BuilderCache())
	if errors.Is(err, fs.ErrExist) { // another lab was deleted at the same time
		return nil
	}
	return err
}

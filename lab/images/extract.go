package images

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/lock"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
)

// Tree returns the directory in the cache for Extract. It fails if the cache lacks the image.
func (i Image) Tree(cache string, packages ...string) (dir string, err error) {
	_, digest, err := i.open(cache)
	name := strings.Join(append([]string{filepath.Base(i.Name) + "-" + digest.Hex}, packages...), "+")
	return filepath.Join(cache, "trees", name), err
}

// Extract puts the files of a cached image into its Tree, unless they are there, and adds packages of its
// distribution, as a Dockerfile would. The tree serves as a root directory: it has the devices and the hosts
// file that a container runtime adds. Extract needs root.
func (i Image) Extract(ctx context.Context, cache string, packages ...string) error {
	tree, err := i.Tree(cache, packages...)
	if err == nil {
		err = lock.Once(ctx, cache, tree, "another lab that is extracting the image "+i.Name,
			func(partial string) error { return i.extract(ctx, cache, partial, packages) })
	}
	if err != nil {
		return fmt.Errorf("extracting the image %s: %w", i.Name, err)
	}
	return nil
}

func (i Image) extract(ctx context.Context, cache, dir string, packages []string) error {
	slog.Info("extracting", "image", i.Name)
	defer progress.Start("extracting the image "+i.Name, nil)()
	image, _, err := i.open(cache)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	stream := mutate.Extract(image)
	defer stream.Close()
	tar := exec.CommandContext(ctx, "tar", "--extract", "--numeric-owner", "--directory", dir)
	tar.Stdin = stream
	if out, err := tar.CombinedOutput(); err != nil {
		return fmt.Errorf("tar: %w\n%s", err, out)
	}
	if err := addRuntimeFiles(dir); err != nil {
		return err
	}
	if len(packages) == 0 {
		return nil
	}
	if err := addPackages(ctx, dir, packages); err != nil {
		return fmt.Errorf("adding %s: %w", strings.Join(packages, ", "), err)
	}
	return nil
}

func addPackages(ctx context.Context, tree string, packages []string) error {
	resolver, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := errors.Join(root.RemoveAll("etc/resolv.conf"),
		root.WriteFile("etc/resolv.conf", resolver, 0o644)); err != nil {
		return err
	}
	const install = `apt-get update && apt-get install --yes --no-install-recommends "$@" &&
		rm -rf /var/lib/apt/lists/* /var/cache/*`
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", install, "sh"}, packages...)...)
	cmd.Dir, cmd.Env = "/", append(os.Environ(), path, "DEBIAN_FRONTEND=noninteractive")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: tree}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get: %w\n%s", err, out)
	}
	return nil
}

// addRuntimeFiles adds what a container runtime adds to an image.
func addRuntimeFiles(tree string) error {
	root, err := os.OpenRoot(tree) // an image may have links that lead out of it
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.RemoveAll("dev"); err != nil {
		return err
	}
	if err := root.Mkdir("dev", 0o755); err != nil {
		return err
	}
	// Source: https://www.kernel.org/doc/Documentation/admin-guide/devices.txt
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "random": 8, "urandom": 9} {
		if err := unix.Mknod(filepath.Join(tree, "dev", name), unix.S_IFCHR,
			int(unix.Mkdev(1, minor))); err != nil {
			return fmt.Errorf("making the device %s: %w", name, err)
		}
	}
	for _, dir := range []string{"dev/shm", "etc", "tmp"} {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := root.WriteFile("etc/hosts", []byte("127.0.0.1 localhost\n::1 localhost\n"), 0o644); err != nil {
		return err
	}
	for path, mode := range map[string]os.FileMode{ // whatever the umask
		".": 0o755, "dev": 0o755, "etc": 0o755, "etc/hosts": 0o644,
		"dev/shm": 0o777 | os.ModeSticky, "tmp": 0o777 | os.ModeSticky,
		"dev/null": 0o666, "dev/zero": 0o666, "dev/random": 0o666, "dev/urandom": 0o666,
	} {
		if err := root.Chmod(path, mode); err != nil {
			return err
		}
	}
	return nil
}

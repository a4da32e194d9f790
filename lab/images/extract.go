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

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
)

// Tree is the directory of the cache where Extract puts the image's files. It fails when the cache lacks the
// image.
func (i Image) Tree(cache string, packages ...string) (dir string, err error) {
	_, digest, err := i.open(cache)
	return i.tree(cache, digest, packages), err
}

func (i Image) tree(cache string, digest v1.Hash, packages []string) string {
	return filepath.Join(cache, "trees",
		strings.Join(append([]string{filepath.Base(i.Name) + "-" + digest.Hex}, packages...), "+"))
}

// Extract puts the files of an image that the cache has into its Tree, unless they are there, and adds
// packages of its distribution, as its Dockerfile would. A process that makes it its root directory finds
// what a container runtime adds: the common devices and the name localhost. It needs root.
func (i Image) Extract(ctx context.Context, cache string, packages ...string) error {
	if err := i.extract(ctx, cache, packages); err != nil {
		return fmt.Errorf("extracting the image %s: %w", i.Name, err)
	}
	return nil
}

func (i Image) extract(ctx context.Context, cache string, packages []string) error {
	image, digest, err := i.open(cache)
	if err != nil {
		return err
	}
	tree := i.tree(cache, digest, packages)
	if exists(tree) {
		return nil
	}
	slog.Info("extracting", "image", i.Name)
	defer progress.Start("extracting the image "+i.Name, nil)()
	partial, remove, err := scratchDir(filepath.Dir(tree), "partial-")
	if err != nil {
		return err
	}
	defer remove()
	files := filepath.Join(partial, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		return err
	}
	stream := mutate.Extract(image)
	defer stream.Close()
	tar := exec.CommandContext(ctx, "tar", "--extract", "--numeric-owner", "--directory", files)
	tar.Stdin = stream
	if said, err := tar.CombinedOutput(); err != nil {
		return fmt.Errorf("tar: %w\n%s", err, said)
	}
	if err := furnish(files); err != nil {
		return err
	}
	if len(packages) > 0 {
		if err := add(ctx, files, packages); err != nil {
			return fmt.Errorf("adding %s: %w", strings.Join(packages, ", "), err)
		}
	}
	return publish(files, tree)
}

// add installs packages in a tree.
func add(ctx context.Context, tree string, packages []string) error {
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
	const install = "apt-get update && apt-get install --yes --no-install-recommends \"$@\" && rm -rf /var/lib/apt/lists/* /var/cache/*"
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", install, "sh"}, packages...)...)
	cmd.Dir, cmd.Env = "/", append(os.Environ(), path, "DEBIAN_FRONTEND=noninteractive")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: tree}
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get: %w\n%s", err, said)
	}
	return nil
}

// furnish adds what a container runtime does.
func furnish(tree string) error {
	root, err := os.OpenRoot(tree) // which no link of the image leads out of
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
		".": 0o755, "dev": 0o755, "etc": 0o755, "etc/hosts": 0o644, "dev/shm": 0o777 | os.ModeSticky,
		"tmp":      0o777 | os.ModeSticky,
		"dev/null": 0o666, "dev/zero": 0o666, "dev/random": 0o666, "dev/urandom": 0o666,
	} {
		if err := root.Chmod(path, mode); err != nil {
			return err
		}
	}
	return nil
}

// Package cluster runs a lab's registry, builder and k3s, each in namespaces of its own.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// Owner is the user who started the lab.
type Owner struct{ UID, GID int }

// Own gives the user a directory and everything in it, while other labs may rename and remove files there.
func (o Owner) Own(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, o.UID, o.GID)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// Config has the parts of a lab.
type Config struct {
	Lab      layout.Lab
	Binaries tools.Binaries
	// System are the images of k3s and its add-ons, Base the images for builds and pods.
	System, Base []images.Image
	// Manifests is the folder of k3s's own manifests.
	Manifests string
	Owner     Owner
}

// Up starts what does not run, and waits until all of it is ready. It can be interrupted and run again.
func Up(ctx context.Context, c Config) error {
	if err := makeDirs(c.Lab, c.Owner); err != nil {
		return err
	}
	if err := createBridge(ctx, c.Lab); err != nil {
		return fmt.Errorf("creating the lab's network: %w", err)
	}
	if err := protectNetwork(ctx, c.Lab); err != nil {
		return fmt.Errorf("keeping other machines out of the lab's network: %w", err)
	}
	access, err := newAccess(c.Lab, c.Owner)
	if err != nil {
		return err
	}
	if err := startRegistry(ctx, access, c.Binaries); err != nil {
		return fmt.Errorf("starting the registry: %w", err)
	}
	if err := images.Push(ctx, c.Lab.Cache, c.Lab.Registry(), c.System, access.options()...); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := images.Push(ctx, c.Lab.Cache, c.Lab.Registry(), c.Base, access.options()...); err != nil {
			return err
		}
		if err := startBuilder(ctx, access, c.Binaries, c.Owner); err != nil {
			return fmt.Errorf("starting the builder: %w", err)
		}
		return nil
	})
	group.Go(func() error { return c.startNodes(ctx, access, c.Lab.Nodes()...) })
	return group.Wait()
}

// makeDirs makes the lab's directories. They are for its owner and root alone: kubeconfig, passwords,
// sockets, logs and volumes. Containers see their parts where they are mounted.
func makeDirs(lab layout.Lab, owner Owner) error {
	parent := filepath.Dir(lab.Dir()) // root's, and the owner must get through it
	if err := errors.Join(
		os.MkdirAll(parent, 0o755), os.Chmod(parent, 0o755),
		os.MkdirAll(lab.Dir(), 0o700), os.Chmod(lab.Dir(), 0o700),
	); err != nil {
		return err
	}
	dirs := []string{lab.Dir("run"), lab.Dir("log"), lab.Dir("registry")}
	for _, node := range lab.Nodes() { // an interrupted up remembers how many there are to be
		dirs = append(dirs, node.Dir())
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := createBuilderDir(lab); err != nil {
		return fmt.Errorf("making the builder's directory: %w", err)
	}
	return os.Chown(lab.Dir(), owner.UID, owner.GID) // who adds the state of Pulumi
}

// Exists reports whether the lab was ever started.
func Exists(lab layout.Lab) bool { return exists(lab.Kubeconfig()) }

// Down stops everything, and removes namespaces, interfaces and cgroups. Files stay.
func Down(ctx context.Context, lab layout.Lab) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for _, d := range daemons(lab) {
		group.Go(func() error { return d.stop(groupCtx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, node := range lab.Nodes() {
		if err := disconnectNode(ctx, node); err != nil {
			return err
		}
	}
	if err := unprotectNetwork(ctx, lab); err != nil {
		return err
	}
	if err := deleteLink(ctx, lab.ID()); err != nil {
		return err
	}
	return awaitCgroupsGone(ctx, lab.ID())
}

// Delete stops a lab and deletes everything it has, except the builder's cache. That saves the next new lab
// minutes of compiling the apps.
func Delete(ctx context.Context, lab layout.Lab) error {
	if err := Down(ctx, lab); err != nil {
		return err
	}
	if err := keepBuilderCache(lab); err != nil {
		return fmt.Errorf("keeping the builder's cache: %w", err)
	}
	for _, dir := range []string{lab.Dir(), lab.CheckoutDir()} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

func daemons(lab layout.Lab) []daemon {
	all := []daemon{service(lab, "buildkitd"), service(lab, "registry")}
	for _, node := range lab.Nodes() {
		all = append(all, outbound(lab, node), k3s{lab: lab, node: node}.daemon())
	}
	return all
}

// service returns a daemon of the lab that is no node.
func service(lab layout.Lab, name string, args ...string) daemon {
	return daemon{
		Lab: lab.Name, Name: name, Args: args, Log: lab.Dir("log", name+".log"),
		Cgroup: lab.ID() + "/" + name, RunDir: lab.Dir("run", name), Grace: 5 * time.Second,
	}
}

// Package cluster runs a lab: a registry, a builder and k3s, each with its
// processes in namespaces of its own.
package cluster

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// Owner is the user that the lab works for.
type Owner struct{ UID, GID int }

// Own gives the user a directory with all that is in it.
func (o Owner) Own(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, o.UID, o.GID)
	})
}

// Config is what a lab is made of.
type Config struct {
	Lab      layout.Lab
	Binaries tools.Binaries
	// System are the images that the cluster needs to get ready, Base those that are built upon and run.
	System, Base []images.Image
	// Manifests is the folder of k3s's own manifests.
	Manifests string
	Owner     Owner
}

// Up starts what does not run and waits until all of it is ready. It may be
// interrupted and run again at any point.
func Up(ctx context.Context, c Config) error {
	// All that the lab keeps is for its owner and root alone: kubeconfig, passwords, sockets, logs and the data
	// of volumes. What runs in the cluster sees its parts where they are mounted, and does not come this way.
	if err := os.MkdirAll(c.Lab.Dir(), 0o700); err != nil {
		return err
	}
	if err := os.Chmod(c.Lab.Dir(), 0o700); err != nil {
		return err
	}
	for _, dir := range []string{"run", "log", "registry"} {
		if err := os.MkdirAll(c.Lab.Dir(dir), 0o755); err != nil {
			return err
		}
	}
	if err := makeBuilder(c.Lab); err != nil {
		return fmt.Errorf("making the builder's directory: %w", err)
	}
	if err := os.Chown(c.Lab.Dir(), c.Owner.UID, c.Owner.GID); err != nil { // the Pulumi state goes there
		return err
	}
	if err := bridgeUp(ctx, c.Lab); err != nil {
		return fmt.Errorf("making the lab's network: %w", err)
	}
	if err := firewallUp(ctx, c.Lab); err != nil {
		return fmt.Errorf("keeping other machines out of the lab's network: %w", err)
	}
	access, err := makeAccess(c.Lab, c.Owner)
	if err != nil {
		return err
	}
	if err := registryUp(ctx, access, c.Binaries); err != nil {
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
		if err := buildkitUp(ctx, access, c.Binaries, c.Owner); err != nil {
			return fmt.Errorf("starting the builder: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		start := time.Now()
		s := c.server(access)
		started, err := s.start(ctx)
		if err != nil {
			return fmt.Errorf("starting k3s: %w", err)
		}
		if !started {
			start = time.Time{}
		}
		if err := s.ready(ctx, start); err != nil {
			return fmt.Errorf("waiting for k3s: %w", err)
		}
		slog.Info("k3s is ready", "node", s.node.Name(), "address", s.node.Address())
		return os.Chown(c.Lab.Kubeconfig(), c.Owner.UID, c.Owner.GID)
	})
	return group.Wait()
}

// Made says whether the lab was up before.
func Made(lab layout.Lab) bool { return exists(lab.Kubeconfig()) }

func (c Config) server(access access) server {
	return server{lab: c.Lab, access: access, node: c.Lab.Nodes()[0], binaries: c.Binaries,
		manifests: c.Manifests}
}

// Down stops everything and removes what it left in the kernel. What is on disk stays.
func Down(ctx context.Context, lab layout.Lab) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for _, d := range daemons(lab) {
		group.Go(func() error { return d.stop(groupCtx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, node := range lab.Nodes() {
		if err := nodeDown(ctx, node); err != nil {
			return err
		}
	}
	if err := firewallDown(ctx, lab); err != nil {
		return err
	}
	if err := linkDown(ctx, lab.ID()); err != nil {
		return err
	}
	// Groups stay busy for a moment after their last process.
	err := poll(ctx, "for the lab's last processes", 10*time.Second,
		func() error { return removeCgroups(lab.ID()) })
	if err != nil {
		return fmt.Errorf("removing the lab's cgroups: %w", err)
	}
	return nil
}

// Delete stops a lab and deletes all it has. Only the builder's cache is kept, for the next new lab:
// compiling all apps without it takes minutes.
func Delete(ctx context.Context, lab layout.Lab) error {
	if err := Down(ctx, lab); err != nil {
		return err
	}
	if err := keepBuilder(lab); err != nil {
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
		all = append(all, outbound(lab, node), server{lab: lab, node: node}.daemon())
	}
	return all
}

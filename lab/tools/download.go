package tools

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/lock"
	"github.com/stateful-k3s/stateful-k3s/lab/releases"
)

// download is the second source of tools: the projects' releases. It leaves out the releases that cannot be
// reached; a damaged one is an error.
func (s Store) download(ctx context.Context, missing []Tool) error {
	host, online, err := releases.FromEnvironment()
	if err != nil || !online {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, r := range s.releasesOf(missing) {
		group.Go(func() error {
			err := s.downloadRelease(ctx, host, r, missing)
			if errors.Is(err, releases.ErrUnavailable) {
				slog.Info("not downloaded", "tool", r.names(), "because", err)
				return nil
			}
			if err != nil {
				return fmt.Errorf("getting %s: %w", r.names(), err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (s Store) downloadRelease(ctx context.Context, host releases.Host, r Release, missing []Tool) error {
	return s.add(ctx, r, missing, func(dir string) error {
		slog.Info("downloading", "tool", r.names(), "from", host.URL(r.Asset, r.Name))
		// An interrupted download continues, since its directory has the release's name.
		downloads := filepath.Join(s.Cache, "releases", path.Base(r.Repository)+"-"+r.Tag)
		file, err := host.Get(ctx, r.Asset, downloads)
		if err != nil {
			return err
		}
		if err := os.Chmod(file, 0o755); err != nil {
			return err
		}
		if err := r.unpack(ctx, file, dir); err != nil {
			return fmt.Errorf("unpacking %s: %w", file, err)
		}
		slog.Info("downloaded", "tool", r.names(), "version", r.Tag)
		return os.RemoveAll(downloads)
	})
}

// add adds the tools of a release that are missing. unpack puts all of them into a directory.
func (s Store) add(ctx context.Context, r Release, missing []Tool, unpack func(dir string) error) error {
	unlock, err := lock.Take(ctx, s.lockFile(r.Tools[0].Tool), anotherLab)
	if err != nil {
		return err
	}
	defer unlock()
	if _, missing, err = s.Find(missing); err != nil || len(r.those(missing)) == 0 {
		return err
	}
	dir := filepath.Join(s.Cache, "releases", r.Tools[0].Tool+".unpacked")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := unpack(dir); err != nil {
		return err
	}
	for _, tool := range r.those(missing) {
		to, err := s.path(tool)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(dir, tool.Name), to); err != nil {
			return err
		}
	}
	return nil
}

// releasesOf returns the releases that have any of the tools.
func (s Store) releasesOf(tools []Tool) []Release {
	return slices.DeleteFunc(slices.Clone(s.releases), func(r Release) bool { return len(r.those(tools)) == 0 })
}

// those returns the tools that the release has.
func (r Release) those(tools []Tool) []Tool {
	return slices.DeleteFunc(slices.Clone(tools), func(t Tool) bool {
		return !slices.ContainsFunc(r.Tools, func(m Member) bool { return m.Tool == t.Name })
	})
}

func (r Release) names() string {
	var names []string
	for _, m := range r.Tools {
		names = append(names, m.Tool)
	}
	return strings.Join(names, " and ")
}

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
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/lock"
	"github.com/stateful-k3s/stateful-k3s/lab/releases"
)

// Fetch gets what the cache lacks without compiling: the pinned version that is
// on PATH, or else the project's release. It returns the tools that are left to
// compile. A release that cannot be reached is no error, a damaged one is.
func Fetch(ctx context.Context, cache, modules string, want []Tool) (left []Tool, err error) {
	return fetch(ctx, cache, modules, want, Published(Architecture))
}

func fetch(ctx context.Context, cache, modules string, want []Tool, from []Publication) (left []Tool,
	err error) {
	_, missing, err := Cached(cache, modules, want)
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	host, online, err := releases.FromEnvironment()
	if err != nil {
		return nil, err
	}
	unlock, err := lock.Take(ctx, filepath.Join(cache, "compiling"), anotherLab)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, missing, err = Cached(cache, modules, want); err != nil {
		return nil, err
	}

	var unavailable reasons
	group, groupCtx := errgroup.WithContext(ctx)
	for _, p := range from {
		wanted := slices.DeleteFunc(slices.Clone(missing), func(t Tool) bool { return !p.has(t.Name) })
		if len(wanted) == 0 {
			continue
		}
		group.Go(func() error {
			err := p.fetch(groupCtx, cache, modules, host, online, wanted)
			if errors.Is(err, releases.ErrUnavailable) {
				unavailable.add(err, p.names())
				return nil
			}
			if err != nil {
				return fmt.Errorf("getting %s: %w", p.names(), err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	unavailable.log()
	_, left, err = Cached(cache, modules, want)
	return left, err
}

// Paths says where each tool lies in the cache, or will lie.
func Paths(cache, modules string, tools []Tool) (Binaries, error) {
	paths := Binaries{}
	for _, tool := range tools {
		path, err := tool.path(cache, modules)
		if err != nil {
			return nil, fmt.Errorf("looking for %s: %w", tool.Name, err)
		}
		paths[tool.Name] = path
	}
	return paths, nil
}

func (p Publication) has(tool string) bool {
	return slices.ContainsFunc(p.Tools, func(m Member) bool { return m.Tool == tool })
}

func (p Publication) names() string {
	var names []string
	for _, m := range p.Tools {
		names = append(names, m.Tool)
	}
	return strings.Join(names, " and ")
}

// fetch puts the wanted tools of the publication into the cache.
func (p Publication) fetch(ctx context.Context, cache, modules string, host releases.Host, online bool,
	wanted []Tool) error {
	// Named by the release: what an interrupted run has downloaded is found again.
	dir := filepath.Join(cache, "releases", path.Base(p.Repository)+"-"+p.Tag)
	staging := filepath.Join(dir, "unpacked")
	if err := os.RemoveAll(staging); err != nil {
		return err
	}
	if found, ok := p.onPath(ctx); ok {
		if err := os.MkdirAll(staging, 0o755); err != nil {
			return err
		}
		if err := p.copyFrom(ctx, found, staging); err != nil {
			return fmt.Errorf("copying %s: %w", found, err)
		}
		slog.Info("found on PATH", "tool", p.names(), "version", p.says, "at", found)
	} else if !online {
		return nil
	} else {
		slog.Info("downloading", "tool", p.names(), "from", host.URL(p.Release, p.Name))
		file, err := host.Get(ctx, p.Release, p.File, dir)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(staging, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(file, 0o755); err != nil {
			return err
		}
		if err := p.unpack(ctx, file, staging); err != nil {
			return fmt.Errorf("unpacking %s: %w", file, err)
		}
		slog.Info("downloaded", "tool", p.names(), "version", p.Tag)
	}
	for _, tool := range wanted {
		to, err := tool.path(cache, modules)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(staging, tool.Name), to); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// reasons says once why releases are not to be had, which is often the same for all.
type reasons struct {
	mutex sync.Mutex
	tools map[string][]string
}

func (r *reasons) add(err error, tools string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.tools == nil {
		r.tools = map[string][]string{}
	}
	r.tools[err.Error()] = append(r.tools[err.Error()], tools)
}

func (r *reasons) log() {
	for why, tools := range r.tools {
		slog.Info("no release to be had", "tools", strings.Join(tools, ", "), "because", why)
	}
}

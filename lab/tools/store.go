package tools

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Store is the cache that keeps tools, for all labs of a user.
type Store struct {
	// Cache is the directory of the cache, Modules the folder with the modules that pin the tools.
	Cache, Modules string
	releases       []Release
}

// NewStore returns the store of a cache.
func NewStore(cache, modules string) Store {
	return Store{cache, modules, Published(runtime.GOARCH)}
}

// Binaries has the path of each tool, by its name.
type Binaries map[string]string

// Paths returns where the tools are in the cache, or will be.
func (s Store) Paths(tools []Tool) (Binaries, error) {
	paths := Binaries{}
	for _, tool := range tools {
		path, err := s.path(tool)
		if err != nil {
			return nil, fmt.Errorf("looking for %s: %w", tool.Name, err)
		}
		paths[tool.Name] = path
	}
	return paths, nil
}

// Find looks for the tools in the cache.
func (s Store) Find(tools []Tool) (found Binaries, missing []Tool, err error) {
	found, err = s.Paths(tools)
	for _, tool := range tools {
		if _, statErr := os.Stat(found[tool.Name]); statErr != nil {
			missing = append(missing, tool)
			delete(found, tool.Name)
		}
	}
	return found, missing, err
}

// Get adds the tools that are missing to the cache. It takes each from the first source that has it, and
// calls beforeCompiling before it compiles.
func (s Store) Get(ctx context.Context, tools []Tool, beforeCompiling func() error) error {
	sources := []func(context.Context, []Tool) error{
		s.copyFromPath,
		s.download,
		func(ctx context.Context, missing []Tool) error {
			if err := beforeCompiling(); err != nil {
				return err
			}
			return s.compile(ctx, missing)
		},
	}
	for _, get := range sources {
		_, missing, err := s.Find(tools)
		if err != nil || len(missing) == 0 {
			return err
		}
		if err := get(ctx, missing); err != nil {
			return err
		}
	}
	return nil
}

// lockFile is the file to lock while a tool is added.
func (s Store) lockFile(tool string) string { return filepath.Join(s.Cache, "locks", tool) }

// anotherLab is what a process waits for if it finds the lock of a tool taken.
const anotherLab = "another lab on this machine that is getting the same tools"

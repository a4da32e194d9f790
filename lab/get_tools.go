package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/hugepages"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/stack"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

func toolsOf(lab layout.Lab) tools.Store {
	return tools.NewStore(lab.Cache, filepath.Join(lab.Checkout, "lab", "tools"))
}

func newSetup(lab layout.Lab) *setup {
	s := &setup{lab: lab, tools: tools.Pulumi, returnPages: func() {}}
	s.lendHugePages = sync.OnceValue(func() (err error) {
		s.returnPages, err = hugepages.Lend()
		return err
	})
	s.prepareCompiling = sync.OnceValue(func() error {
		if err := checkMachine(context.Background(), lab, true); err != nil {
			return err
		}
		return s.lendHugePages()
	})
	return s
}

// neededTools returns the tools that run in a lab, and the tools that its missing images are assembled from.
func neededTools(lab layout.Lab, system []images.Image) []tools.Tool {
	missing := images.Missing(lab.Cache, system)
	used := func(by []images.Image, tool tools.Tool) bool {
		return slices.ContainsFunc(by, func(image images.Image) bool { return image.Tool == tool.Name })
	}
	var needed []tools.Tool
	for _, tool := range tools.All {
		if used(missing, tool) || !used(system, tool) {
			needed = append(needed, tool)
		}
	}
	for _, tool := range tools.Optional {
		if used(missing, tool) {
			needed = append(needed, tool)
		}
	}
	return needed
}

func (s *setup) getClusterTools(ctx context.Context) error {
	return s.getTools(ctx, slices.DeleteFunc(s.tools(), tools.Tool.IsPulumi))
}

func (s *setup) getPulumi(ctx context.Context) error { return s.getTools(ctx, tools.Pulumi()) }

func (s *setup) getTools(ctx context.Context, want []tools.Tool) error {
	return toolsOf(s.lab).Get(ctx, want, s.prepareCompiling)
}

func (s *setup) compileProgram(ctx context.Context) error {
	if stack.HasProgram(s.lab) {
		return nil
	}
	if err := s.lendHugePages(); err != nil {
		return err
	}
	return stack.CompileProgram(ctx, s.lab)
}

func (s *setup) deleteCompilerCaches(context.Context) error {
	if err := toolsOf(s.lab).Clean(); err != nil {
		return fmt.Errorf("deleting the compiler's caches: %w", err)
	}
	return nil
}

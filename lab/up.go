package main

import (
	"context"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/stack"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// up starts the lab, unless $KUBECONFIG leads to a cluster of the user's own.
func up(ctx context.Context, lab layout.Lab, yes bool) error {
	if kubeconfig := existingCluster(); kubeconfig != "" {
		return useExistingCluster(ctx, lab, kubeconfig, yes)
	}
	return inOrder(
		getAndThen((*setup).startCluster),
		(*setup).preparePulumi,
	).run(ctx, lab)
}

// get fills the cache, so that a later up does not have to wait for it; with all, whatever its settings.
func get(ctx context.Context, lab layout.Lab, all bool) error {
	return inOrder(
		func(s *setup, _ context.Context) error { s.all = all; return nil },
		getAndThen(func(*setup, context.Context) error { return nil }),
	).run(ctx, lab)
}

// getAndThen gets what is missing. It runs start as soon as the images and tools of the cluster are there,
// while the tools of Pulumi may still be compiling.
func getAndThen(start action) action {
	return inOrder(
		(*setup).checkMachine,
		(*setup).installPackages,
		(*setup).listImages,
		(*setup).showEstimate,
		(*setup).pullSystemImages, // first: some tools only serve to assemble these
		beside(
			inOrder(beside((*setup).getBaseImages, (*setup).getClusterTools), start),
			inOrder((*setup).getPulumi, (*setup).compileProgram),
		),
		(*setup).deleteCompilerCaches,
	)
}

// action is one step on the way to a lab.
type action func(*setup, context.Context) error

// setup is what the actions share.
type setup struct {
	lab layout.Lab
	// all asks for what only some settings need, too.
	all          bool
	base, system []images.Image
	// tools returns the tools of the cluster, of Pulumi, and those for images that are still missing.
	tools func() []tools.Tool
	// variables lead to a cluster other than the lab's.
	variables []stack.Variable

	// All compilers share the kernel's setting for huge pages and the disk space.
	prepareCompiling, lendHugePages func() error
	returnPages                     func()
}

func (a action) run(ctx context.Context, lab layout.Lab) error {
	s := newSetup(lab)
	defer func() { s.returnPages() }()
	return a(s, ctx)
}

func inOrder(actions ...action) action {
	return func(s *setup, ctx context.Context) error {
		for _, action := range actions {
			if err := action(s, ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// beside runs actions at the same time.
func beside(actions ...action) action {
	return func(s *setup, ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		for _, action := range actions {
			group.Go(func() error { return action(s, ctx) })
		}
		return group.Wait()
	}
}

func (s *setup) preparePulumi(ctx context.Context) error {
	binaries, _, err := toolsOf(s.lab).Find(s.tools())
	if err != nil {
		return err
	}
	if s.variables == nil {
		if s.variables, err = stack.LabVariables(s.lab); err != nil {
			return err
		}
	}
	env, err := stack.Prepare(ctx, s.lab, binaries, s.variables)
	if err != nil {
		return err
	}
	slog.Info("Pulumi is ready", "stack", s.lab.Name, "shell", ". "+env)
	return nil
}

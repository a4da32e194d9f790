package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/stateful-k3s/stateful-k3s/lab/cluster"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/lock"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/preflight"
)

func (s *setup) checkMachine(ctx context.Context) error { return checkMachine(ctx, s.lab, false) }

// checkMachine fails if the machine lacks something for a lab, or for compiling its tools as well.
func checkMachine(ctx context.Context, lab layout.Lab, compile bool) error {
	newAgents := 0
	for _, node := range lab.Nodes()[1:] {
		if !isDir(node.Dir()) {
			newAgents++
		}
	}
	space := preflight.SpaceFor(compile, lab.Cache, lab.Dir(), cluster.Exists(lab), newAgents)
	if err := preflight.Check(ctx, space); err != nil {
		return fmt.Errorf("this machine is not ready for a lab:\n%w", err)
	}
	return nil
}

func (s *setup) installPackages(ctx context.Context) error {
	return installMissing("install-packages", preflight.ForLab)(ctx, s.lab)
}

// installMissing needs root only if a package is missing. command is the privileged step that installs them.
func installMissing(command string, packages []preflight.Package) step {
	return func(ctx context.Context, lab layout.Lab) error {
		if len(preflight.Missing(packages)) == 0 {
			return nil
		}
		release, err := lock.Take(ctx, filepath.Join(lab.Cache, "locks", "packages"),
			"another command that installs packages")
		if err != nil {
			return err
		}
		defer release()
		return asRoot(command)(ctx, lab)
	}
}

func installPackages(packages []preflight.Package) step {
	return func(ctx context.Context, _ layout.Lab) error { return preflight.Install(ctx, packages) }
}

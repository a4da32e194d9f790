package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/stateful-k3s/stateful-k3s/lab/cluster"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

func (s *setup) startCluster(ctx context.Context) error { return asRoot("start")(ctx, s.lab) }

func startCluster(ctx context.Context, lab layout.Lab) error {
	config, err := clusterConfig(ctx, lab)
	if err != nil {
		return err
	}
	return cluster.Up(ctx, config)
}

func startNode(ctx context.Context, lab layout.Lab, node layout.Node) error {
	config, err := clusterConfig(ctx, lab)
	if err != nil {
		return err
	}
	return cluster.StartNode(ctx, config, node)
}

// clusterConfig returns what the lab is made of. It assembles images that are missing.
func clusterConfig(ctx context.Context, lab layout.Lab) (cluster.Config, error) {
	store := toolsOf(lab)
	base, system, err := listImages(ctx, lab)
	if err != nil {
		return cluster.Config{}, err
	}
	binaries, missing, err := store.Find(slices.DeleteFunc(neededTools(lab, system), tools.Tool.IsPulumi))
	if err != nil {
		return cluster.Config{}, err
	}
	if len(missing) > 0 {
		return cluster.Config{}, fmt.Errorf("the cache lacks %s: run make lab-up", missing[0].Name)
	}
	if err := assemble(ctx, lab, system); err != nil {
		return cluster.Config{}, err
	}
	k3s, err := tools.ModuleDir(ctx, filepath.Join(store.Modules, "kubernetes"), "github.com/k3s-io/k3s")
	if err != nil {
		return cluster.Config{}, err
	}
	return cluster.Config{
		Lab: lab, Binaries: binaries, System: system, Base: base,
		Manifests: filepath.Join(k3s, "manifests"), Owner: owner(),
	}, nil
}

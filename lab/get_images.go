package main

import (
	"context"
	"path/filepath"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

func (s *setup) listImages(ctx context.Context) (err error) {
	s.base, s.system, err = images.All(ctx, toolsOf(s.lab))
	s.tools = func() []tools.Tool { return neededTools(s.lab, s.system) }
	return err
}

func (s *setup) pullSystemImages(ctx context.Context) error {
	return images.Pull(ctx, s.lab.Cache, s.system)
}

// getBaseImages assembles the images that Docker Hub does not provide. Assembling system images is a part of
// startCluster.
func (s *setup) getBaseImages(ctx context.Context) error {
	if err := images.Pull(ctx, s.lab.Cache, s.base); err != nil {
		return err
	}
	if len(images.Missing(s.lab.Cache, s.base)) == 0 {
		return nil
	}
	return asRoot("assemble")(ctx, s.lab)
}

func assembleBaseImages(ctx context.Context, lab layout.Lab) error {
	base, _, err := images.All(ctx, toolsOf(lab))
	if err != nil {
		return err
	}
	return assemble(ctx, lab, base)
}

// assemble assembles images as root. The cache stays the user's.
func assemble(ctx context.Context, lab layout.Lab, wanted []images.Image) error {
	if err := images.Assemble(ctx, lab.Cache, wanted); err != nil {
		return err
	}
	return owner().Own(filepath.Join(lab.Cache, "images"))
}

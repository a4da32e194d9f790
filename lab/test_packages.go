package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/files"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/preflight"
)

// pgbackrest is the package that the Dockerfile adds to the image postgres:17.
const pgbackrest = "pgbackrest"

// prepareTests installs packages, and links the checkout to the files of the image postgres:17. Tests run its
// programs.
func prepareTests(ctx context.Context, lab layout.Lab) error {
	if err := installMissing("install-test-packages", preflight.ForTests)(ctx, lab); err != nil {
		return err
	}
	wanted := []images.Image{images.Postgres()}
	if err := images.Pull(ctx, lab.Cache, wanted); err != nil {
		return err
	}
	if len(images.Missing(lab.Cache, wanted)) > 0 { // the lab's packages assemble it
		if err := installMissing("install-packages", preflight.ForLab)(ctx, lab); err != nil {
			return err
		}
	}
	tree, err := images.Postgres().Tree(lab.Cache, pgbackrest)
	if errors.Is(err, fs.ErrNotExist) || !isDir(tree) {
		if err := asRoot("extract")(ctx, lab); err != nil {
			return err
		}
		tree, err = images.Postgres().Tree(lab.Cache, pgbackrest)
	}
	if err != nil {
		return err
	}
	return files.Link(tree, filepath.Join(lab.Checkout, ".lab", "postgres-17"))
}

func extractPostgres(ctx context.Context, lab layout.Lab) error {
	postgres := images.Postgres()
	if err := assemble(ctx, lab, []images.Image{postgres}); err != nil {
		return err
	}
	return postgres.Extract(ctx, lab.Cache, pgbackrest)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

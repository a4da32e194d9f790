package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/files"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/preflight"
)

// pgbackrest is the package that the Dockerfile adds to the image of Postgres.
const pgbackrest = "pgbackrest"

// postgresVariable names the major version of Postgres that tests run.
const postgresVariable = "POSTGRES"

// postgresOfTests returns the image whose programs tests run.
func postgresOfTests() (images.Image, error) {
	value := os.Getenv(postgresVariable)
	if value == "" {
		return images.Postgres(images.DefaultPostgres), nil
	}
	major, err := strconv.Atoi(value)
	if err != nil {
		return images.Image{}, fmt.Errorf("%s: %q is no major version of Postgres; for example: %s=17",
			postgresVariable, value, postgresVariable)
	}
	return images.Postgres(major), nil
}

// prepareTests installs packages, and links the checkout to the files of the image of Postgres.
func prepareTests(ctx context.Context, lab layout.Lab) error {
	postgres, err := postgresOfTests()
	if err != nil {
		return err
	}
	if err := installMissing("install-test-packages", preflight.ForTests)(ctx, lab); err != nil {
		return err
	}
	wanted := []images.Image{postgres}
	if err := images.Pull(ctx, lab.Cache, wanted); err != nil {
		return err
	}
	if len(images.Missing(lab.Cache, wanted)) > 0 { // the lab's packages assemble it
		if err := installMissing("install-packages", preflight.ForLab)(ctx, lab); err != nil {
			return err
		}
	}
	tree, err := postgres.Tree(lab.Cache, pgbackrest)
	if errors.Is(err, fs.ErrNotExist) || !isDir(tree) {
		if err := asRoot("extract")(ctx, lab); err != nil {
			return err
		}
		tree, err = postgres.Tree(lab.Cache, pgbackrest)
	}
	if err != nil {
		return err
	}
	return files.Link(tree, filepath.Join(lab.Checkout, ".lab", strings.ReplaceAll(postgres.Name, ":", "-")))
}

func extractPostgres(ctx context.Context, lab layout.Lab) error {
	postgres, err := postgresOfTests()
	if err != nil {
		return err
	}
	if err := assemble(ctx, lab, []images.Image{postgres}); err != nil {
		return err
	}
	return postgres.Extract(ctx, lab.Cache, pgbackrest)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

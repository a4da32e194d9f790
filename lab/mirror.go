package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/mirror"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// serveMirror serves what the cache has, and prints the settings with which `lab up` gets it from there.
func serveMirror(ctx context.Context, lab layout.Lab, dir string) error {
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "sk3s-mirror-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	binaries, _, err := tools.Cached(lab.Cache, modules(lab), tools.All)
	if err != nil {
		return err
	}
	base, system, err := labImages(ctx, lab)
	if err != nil {
		return err
	}
	return mirror.Serve(ctx, mirror.Config{
		Cache: lab.Cache, Binaries: binaries, Images: append(base, system...),
		Source: filepath.Join(lab.Checkout, "lab"), Dir: dir,
	}, func(setting, value string) { fmt.Printf("export %s=%s\n", setting, value) })
}

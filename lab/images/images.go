// Package images gets the lab's container images. It pulls them from Docker Hub, or else assembles them: base
// images from Debian packages, system images from the lab's tools.
package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/lock"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// Image is a container image, under its name on Docker Hub or with its registry.
type Image struct {
	Name string
	// Tool is the tool that a system image is assembled from.
	Tool string
	// inputs and config identify the content: their hash names the image in the cache.
	inputs []string
	config v1.Config
	// write writes the files of an assembled image as a tar stream.
	write func(ctx context.Context, to io.Writer) error
}

// Wanted are the images that stacks need only with some settings.
type Wanted struct {
	// Postgres has the major versions of Postgres.
	Postgres []int
	// CloudNativePG is the operator, and BarmanCloud the plugin that archives for it.
	CloudNativePG, BarmanCloud bool
	// Prometheus is the stack's own.
	Prometheus bool
	// Valkey is another Redis.
	Valkey bool
}

// All returns the lab's images, cached or not: base images for builds and pods, and system images for k3s and
// operators.
func All(ctx context.Context, store tools.Store, wanted Wanted) (base, system []Image, err error) {
	binaries, err := store.Paths(slices.Concat(tools.All, tools.Optional))
	if err != nil {
		return nil, nil, err
	}
	if base, err = Base(ctx, wanted.Postgres); err != nil {
		return nil, nil, err
	}
	if wanted.Prometheus {
		base = append(base, Prometheus())
	}
	if wanted.Valkey {
		base = append(base, valkey())
	}
	if system, err = System(ctx, binaries); err != nil {
		return nil, nil, err
	}
	if wanted.CloudNativePG {
		system = append(system, cloudNativePG(binaries))
	}
	if wanted.BarmanCloud {
		system = append(system, barmanCloud(binaries)...)
	}
	return base, system, nil
}

// Assemble assembles the images that the cache lacks.
func Assemble(ctx context.Context, cache string, images []Image) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, image := range images {
		group.Go(func() error {
			if err := image.assemble(ctx, cache); err != nil {
				return fmt.Errorf("assembling the image %s: %w", image.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// Push copies images from the cache to the registry, unless it has them.
func Push(ctx context.Context, cache, registry string, images []Image, options ...remote.Option) error {
	options = append(options, remote.WithContext(ctx))
	for _, image := range images {
		if err := image.push(cache, registry, options); err != nil {
			return fmt.Errorf("pushing the image %s: %w", image.Name, err)
		}
	}
	return nil
}

func (i Image) dir(cache string) string {
	hash := sha256.New()
	for _, input := range i.inputs {
		fmt.Fprintln(hash, input)
	}
	fmt.Fprintln(hash, i.config)
	return filepath.Join(cache, "images", filepath.Base(i.Name)+"-"+hex.EncodeToString(hash.Sum(nil))[:16])
}

// Missing returns the images that the cache lacks.
func Missing(cache string, images []Image) []Image {
	return slices.DeleteFunc(slices.Clone(images), func(i Image) bool {
		_, err := os.Stat(i.dir(cache))
		return err == nil
	})
}

// once adds the image to the cache, unless it is there. create writes it into a directory.
func (i Image) once(ctx context.Context, cache string, create func(dir string) error) error {
	return lock.Once(ctx, cache, i.dir(cache), "another lab that is getting the image "+i.Name, create)
}

func (i Image) assemble(ctx context.Context, cache string) error {
	return i.once(ctx, cache, func(partial string) error {
		slog.Info("assembling", "image", i.Name)
		start := time.Now()
		if err := i.pack(ctx, partial); err != nil {
			return err
		}
		slog.Info("assembled", "image", i.Name, "took", time.Since(start).Round(time.Second))
		return nil
	})
}

// pack writes the image into the directory, in OCI's layout.
func (i Image) pack(ctx context.Context, dir string) error {
	files, err := os.Create(dir + ".tar")
	if err != nil {
		return err
	}
	defer os.Remove(files.Name())
	if err := errors.Join(i.write(ctx, files), files.Close()); err != nil {
		return err
	}
	defer progress.Start("packing the image "+i.Name, nil)()
	layer, err := tarball.LayerFromFile(files.Name(), tarball.WithCompressionLevel(1))
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", tools.Architecture, i.config
	if image, err = mutate.ConfigFile(image, file); err != nil {
		return err
	}
	index, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	return index.AppendImage(image)
}

// open reads the image from the cache.
func (i Image) open(cache string) (v1.Image, v1.Hash, error) {
	index, err := layout.ImageIndexFromPath(i.dir(cache))
	if err != nil {
		return nil, v1.Hash{}, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, v1.Hash{}, err
	}
	digest := manifest.Manifests[0].Digest
	image, err := index.Image(digest)
	return image, digest, err
}

func (i Image) push(cache, registry string, options []remote.Option) error {
	image, digest, err := i.open(cache)
	if err != nil {
		return err
	}
	ref, err := i.in(registry)
	if err != nil {
		return err
	}
	if have, err := remote.Head(ref, options...); err == nil && have.Digest == digest {
		return nil
	}
	defer progress.Start("pushing the image "+i.Name+" to the lab's registry", nil)()
	return remote.Write(ref, image, options...)
}

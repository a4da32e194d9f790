// Package images gets the lab's container images: from Docker Hub, or else
// assembled, base images from Debian packages and system images from tools.
package images

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// Image is one image under the name it has on Docker Hub.
type Image struct {
	Name string
	// Tool is what it is assembled from, if that is one of the lab's tools.
	Tool string
	// fits tells why an image that was found under the name is of no use here.
	fits func(v1.Config) error
	// inputs tell one content from another: the same inputs make the same image.
	inputs []string
	config v1.Config
	// write writes the files of the image as a tar stream.
	write func(ctx context.Context, to io.Writer) error
}

// Assemble makes the images that the cache lacks.
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

// Push gives the registry those images that it lacks. The options say how the registry is spoken to.
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

// partial is a directory beside that of the image, where it is made.
func (i Image) partial(cache string) (dir string, remove func(), err error) {
	return scratchDir(filepath.Dir(i.dir(cache)), "partial-")
}

// publish makes a whole directory visible, unless another process was faster.
func publish(partial, dir string) error {
	err := os.Rename(partial, dir)
	if exists(dir) {
		return nil
	}
	return err
}

func (i Image) cached(cache string) bool { return exists(i.dir(cache)) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (i Image) assemble(ctx context.Context, cache string) error {
	if i.cached(cache) {
		return nil
	}
	slog.Info("assembling", "image", i.Name)
	start := time.Now()
	partial, remove, err := i.partial(cache)
	if err != nil {
		return err
	}
	defer remove()

	files, err := os.Create(filepath.Join(partial, "files.tar"))
	if err != nil {
		return err
	}
	err = i.write(ctx, files)
	if closeErr := files.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
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

	index, err := layout.Write(filepath.Join(partial, "layout"), empty.Index)
	if err != nil {
		return err
	}
	if err := index.AppendImage(image); err != nil {
		return err
	}
	if err := publish(filepath.Join(partial, "layout"), i.dir(cache)); err != nil {
		return err
	}
	slog.Info("assembled", "image", i.Name, "took", time.Since(start).Round(time.Second))
	return nil
}

// open is the image as the cache has it.
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
	defer progress.Start("giving the lab's registry the image "+i.Name, nil)()
	return remote.Write(ref, image, options...)
}

// file is one entry of an image that is made of a few files.
type file struct {
	path string
	mode int64
	from string // on this machine
	link string // target, for a symbolic link
}

// scratch writes the files and nothing else.
func scratch(files ...file) func(context.Context, io.Writer) error {
	return func(_ context.Context, to io.Writer) error {
		archive := tar.NewWriter(to)
		for _, f := range files {
			header := &tar.Header{Name: f.path, Mode: f.mode, Typeflag: tar.TypeReg}
			var content []byte
			switch {
			case f.link != "":
				header.Typeflag, header.Linkname = tar.TypeSymlink, f.link
			case f.from != "":
				var err error
				if content, err = os.ReadFile(f.from); err != nil {
					return err
				}
				header.Size = int64(len(content))
			default:
				header.Typeflag = tar.TypeDir
			}
			if err := archive.WriteHeader(header); err != nil {
				return err
			}
			if _, err := io.Copy(archive, bytes.NewReader(content)); err != nil {
				return err
			}
		}
		return archive.Close()
	}
}

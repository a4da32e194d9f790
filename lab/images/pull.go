package images

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/patience"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// Setting is the environment variable that names a mirror of Docker Hub (host or host:port), or Off.
const Setting = "STATEFUL_K3S_IMAGES"

// Off is the value of Setting that turns pulling off.
const Off = "off"

// attempts limits the retries of a pull that breaks off. Each keeps the layers of earlier ones.
const attempts = 3

// Pull pulls the images that the cache lacks, for this machine's platform. It leaves images that no registry
// provides to Assemble. A damaged image is an error.
func Pull(ctx context.Context, cache string, images []Image) error {
	hub := os.Getenv(Setting)
	if hub == Off {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, image := range Missing(cache, images) {
		group.Go(func() error {
			if err := image.pull(ctx, cache, hub); err != nil {
				return fmt.Errorf("pulling the image %s: %w", image.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// transport gives up soon on a registry that cannot be reached.
var transport = patience.Transport(10*time.Second, 20*time.Second)

func (i Image) pull(ctx context.Context, cache, hub string) error {
	ref, err := i.in(hub)
	if err != nil {
		return fmt.Errorf("%s: %q is neither a registry's host nor %q: %w", Setting, hub, Off, err)
	}
	end := progress.Start("looking for the image "+i.Name, nil)
	found, err := find(ctx, ref)
	end()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		slog.Info("not pulled", "image", i.Name, "because", err)
		return nil
	}
	return i.once(ctx, cache, func(dir string) error {
		slog.Info("pulling", "image", i.Name, "from", ref.Context().RegistryStr())
		if err := download(ctx, found, i.Name, dir); err != nil {
			return err
		}
		slog.Info("pulled", "image", i.Name)
		return nil
	})
}

// find asks for the image of this platform, without its layers.
func find(ctx context.Context, ref name.Reference) (v1.Image, error) {
	image, err := remote.Image(ref, remote.WithContext(ctx), remote.WithTransport(transport),
		remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: tools.Architecture}))
	if err != nil {
		return nil, err
	}
	_, err = image.ConfigFile()
	return image, err
}

// download writes an image into the directory, in OCI's layout.
func download(ctx context.Context, image v1.Image, name, dir string) error {
	index, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	whole := size(image)
	defer progress.Start("pulling "+name, func() string { return progress.Bytes(bytesIn(dir), whole) })()
	for left := attempts; ; left-- {
		if err = index.AppendImage(image); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if left == 1 {
			return fmt.Errorf("%w: try again, or assemble it instead with %s=%s", err, Setting, Off)
		}
	}
}

// size returns the bytes of an image's compressed layers, or 0 if the registry does not tell.
func size(image v1.Image) (bytes int64) {
	manifest, err := image.Manifest()
	if err != nil {
		return 0
	}
	for _, layer := range manifest.Layers {
		bytes += layer.Size
	}
	return bytes
}

// bytesIn adds up the files in a directory, while others come and go.
func bytesIn(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}

// in returns the image's reference in a registry; "" is its own.
func (i Image) in(registry string) (name.Reference, error) {
	own, err := name.ParseReference(i.Name)
	if err != nil || registry == "" {
		return own, err
	}
	// Docker Hub's official images are in library/ there too.
	return name.ParseReference(registry + "/" + own.Context().RepositoryStr() + ":" + own.Identifier())
}

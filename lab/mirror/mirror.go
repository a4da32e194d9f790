// Package mirror serves what the cache has in the way that the internet does, so
// that the ways to get tools and images are tried without it: the projects'
// releases, under their names and with checksums, and a registry.
package mirror

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/releases"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// Config is what a mirror serves.
type Config struct {
	Cache string
	// Binaries are the tools that the cache has; it need not have those of images that were pulled.
	Binaries tools.Binaries
	Images   []images.Image
	// Source is the folder of this module, from which what extracts itself is compiled.
	Source string
	// Dir gets the files.
	Dir string
}

// Serve writes the files, tells the settings that lead to them, and serves until the context ends.
func Serve(ctx context.Context, c Config, tell func(setting, value string)) error {
	files, blobs := filepath.Join(c.Dir, "releases"), filepath.Join(c.Dir, "blobs")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, p := range tools.Published(tools.Architecture) {
		if slices.ContainsFunc(p.Tools, func(m tools.Member) bool { return c.Binaries[m.Tool] == "" }) {
			continue
		}
		group.Go(func() error {
			if err := release(groupCtx, p, c.Binaries, c.Source, files); err != nil {
				return fmt.Errorf("writing the release %s: %w", p.Name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(files)))
	mux.Handle("/v2/", registry.New(registry.Logger(log.New(io.Discard, "", 0)),
		registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs))))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer server.Close()
	address := listener.Addr().String()
	if err := images.Push(ctx, c.Cache, address, c.Images); err != nil {
		return err
	}
	tell(releases.Setting, "http://"+address)
	tell(images.Setting, address)
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return err
	}
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/config"
	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/image"
	"github.com/stateful-k3s/stateful-k3s/infra/volumes"
)

const (
	// backupImage and archivingPostgres (for servers with an archive) are made from an image of Postgres.
	backupImage       = "backup"
	archivingPostgres = "postgres"
	// postgresArg is the argument of the Dockerfile that says which.
	postgresArg = "POSTGRES_IMAGE"
	// storageImage is the image of the storage server, which runs only without s3Endpoint.
	storageImage = "storage"
)

// publishedPostgres are the images that releases have those two for.
var publishedPostgres = []string{"postgres:17", "postgres:18"}

// neededImages are the images that the stack needs, by name.
func neededImages(cfg *config.Config) map[string]image.Args {
	images := map[string]image.Args{}
	for _, app := range appImages {
		images[app] = image.Args{Target: app}
	}
	add := func(target, postgres string) {
		images[imageName(target, postgres)] = image.Args{Target: target,
			BuildArgs: map[string]string{postgresArg: postgres}}
	}
	for _, settings := range cfg.Databases {
		add(backupImage, settings.Image)
		if old := settings.Version.OldImage; old != "" {
			add(backupImage, old)
		}
		if settings.Archive != nil && settings.Engine == cluster.StatefulSet {
			add(archivingPostgres, settings.Image)
		}
	}
	if cfg.S3 == nil {
		images[storageImage] = image.Args{Target: storageImage}
	}
	return images
}

// imageName is the name of the image that is made from one of Postgres, such as backup-postgres-18.
func imageName(target, postgres string) string {
	return target + "-" + regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(postgres), "-")
}

// appImages are the targets of the Dockerfile that any stack needs.
var appImages = []string{"daily-todo", "pingpong", "postgres-exporter", "redis-exporter", "redisfiller",
	"todo-backend", "todo-frontend"}

// newImages returns the references of the images by name. It declares the images that it builds, and builds
// missing ones again.
func newImages(ctx *pulumi.Context, cfg *config.Config, last volumes.Outputs, nodes cluster.Platforms,
	missing missingImages) (pulumi.StringMap, error) {
	needed := neededImages(cfg)
	refs, err := publishedImages(ctx.Context(), cfg, needed, last, nodes)
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	maps.DeleteFunc(needed, func(name string, _ image.Args) bool { return refs[name] != nil })
	if len(needed) == 0 {
		return refs, nil
	}
	platforms := nodes.Names()
	if len(cfg.Platforms) > 0 {
		platforms = cfg.Platforms
		if err := nodes.Without("each image", platforms); err != nil {
			return nil, fmt.Errorf("platforms: %w; for example: pulumi config set platforms %q", err,
				strings.Join(nodes.Names(), " "))
		}
	}
	rebuild, err := findMissing(ctx, cfg, needed, last, missing)
	if err != nil {
		return nil, err
	}
	for name, args := range needed {
		args.Registry, args.Tag = cfg.Registry.Path, ctx.Stack()
		args.Username, args.Password = cfg.Registry.Push.Username, cfg.Registry.Push.Password
		args.Builder, args.Rebuild = cfg.Builder, rebuild[name]
		args.Platforms = platforms
		if refs[name], err = image.New(ctx, name, args); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// publishedImages finds the images that another stack has built, or a release: all, except what can be built
// from the user's own images of Postgres.
func publishedImages(ctx context.Context, cfg *config.Config, needed map[string]image.Args,
	last volumes.Outputs, nodes cluster.Platforms) (pulumi.StringMap, error) {
	if cfg.Published == nil {
		return pulumi.StringMap{}, nil
	}
	var names []string
	var own error
	for name, args := range needed {
		postgres, made := args.BuildArgs[postgresArg]
		if !made || slices.Contains(publishedPostgres, postgres) {
			names = append(names, name)
		} else if !cfg.Registry.Builds {
			names = append(names, name)
			own = fmt.Errorf("%s is made from %s: take one of %s, which releases have it for, or have it built; for "+
				"example: pulumi config set registry registry.example.com/team", name, postgres,
				strings.Join(publishedPostgres, ", "))
		}
	}
	slices.Sort(names)
	refs, err := image.Published(*cfg.Published).Resolve(ctx, names, last.Images,
		cfg.Registry.Auth(cfg.Published.Registry))
	if err != nil {
		return nil, errors.Join(err, own)
	}
	if err := canRun(ctx, nodes, names, refs, cfg.Registry.Auth); err != nil {
		return nil, fmt.Errorf("%w; build them for both with platforms, or keep such nodes to others with a taint",
			err)
	}
	for _, settings := range cfg.Databases {
		ref := refs[imageName(backupImage, settings.Image)]
		is := image.Variable(ctx, ref, "PG_MAJOR", cfg.Registry.Auth(ref))
		if wanted := server.Major(settings.Image); is != "" && wanted != "" && is != wanted {
			return nil, fmt.Errorf("the image %s has Postgres %s, and the database %s needs %s: give it that "+
				"version, or build the images with pulumi config set images build", ref, is, settings.Name,
				settings.Image)
		}
	}
	return pulumi.ToStringMap(refs), nil
}

// canRun returns an error for the first image that a node could not run. The registry is asked for all images
// at once, so that one that does not answer costs its timeout once.
func canRun(ctx context.Context, nodes cluster.Platforms, names []string, refs map[string]string,
	login func(ref string) authn.Authenticator) error {
	if len(nodes) == 0 {
		return nil
	}
	faults := make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			if has := image.Platforms(ctx, refs[name], login(refs[name])); has != nil {
				faults[i] = nodes.Without("the image "+refs[name], has)
			}
		})
	}
	group.Wait()
	return cmp.Or(faults...)
}

// missingImages returns the keys of the references that their registry no longer has.
type missingImages func(ctx context.Context, refs map[string]string,
	login authn.Authenticator) map[string]bool

// findMissing returns the images that the last up pushed and the registry has lost since.
func findMissing(ctx *pulumi.Context, cfg *config.Config, built map[string]image.Args, last volumes.Outputs,
	missing missingImages) (map[string]bool, error) {
	pushed := maps.Clone(last.Images)
	maps.DeleteFunc(pushed, func(name, ref string) bool {
		_, builds := built[name]
		return !builds || !strings.HasPrefix(ref, cfg.Registry.Path+"/")
	})
	lost := missing(ctx.Context(), pushed, cfg.Registry.Auth(cfg.Registry.Path))
	if len(lost) == 0 {
		return nil, nil
	}
	return lost, ctx.Log.Info(fmt.Sprintf(
		"The registry has lost images. They are built again, because no new pod could start without them: %s.",
		strings.Join(slices.Sorted(maps.Keys(lost)), ", ")), nil)
}

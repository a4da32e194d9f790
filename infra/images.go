package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/config"
	"github.com/stateful-k3s/stateful-k3s/infra/image"
	"github.com/stateful-k3s/stateful-k3s/infra/volumes"
)

const (
	// archivingPostgres is the image of database servers with an archive.
	archivingPostgres = "postgres"
	// storageImage is the image of the storage server, which runs only without s3Endpoint.
	storageImage = "storage"
)

// apps returns the targets of the Dockerfile that the stack needs.
func apps(cfg *config.Config) []string {
	apps := []string{"backup", "daily-todo", "pingpong", "postgres-exporter", "redisfiller", "todo-backend",
		"todo-frontend"}
	if cfg.Archive.On {
		apps = append(apps, archivingPostgres)
	}
	if cfg.S3 == nil {
		apps = append(apps, storageImage)
	}
	return apps
}

// buildImages declares the images, and returns their references by app. It rebuilds missing images.
func buildImages(ctx *pulumi.Context, cfg *config.Config, last volumes.Outputs,
	missing missingImages) (pulumi.StringMap, error) {
	rebuild, err := findMissing(ctx, cfg, last, missing)
	if err != nil {
		return nil, err
	}
	postgresImage := map[string]string{"POSTGRES_IMAGE": cfg.Postgres.Image}
	buildArgs := map[string]map[string]string{"backup": postgresImage, archivingPostgres: postgresImage}
	refs := pulumi.StringMap{}
	for _, app := range apps(cfg) {
		refs[app], err = image.New(ctx, app, image.Args{
			Registry:  cfg.Registry.Path,
			BuildArgs: buildArgs[app],
			Tag:       ctx.Stack(),
			Username:  cfg.Registry.Push.Username,
			Password:  cfg.Registry.Push.Password,
			Builder:   cfg.Builder,
			Rebuild:   rebuild[app],
		})
		if err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// missingImages returns the keys of the references that their registry no longer has.
type missingImages func(ctx context.Context, refs map[string]string,
	login authn.Authenticator) map[string]bool

// findMissing returns the apps with images that the last up pushed and the registry has lost since.
func findMissing(ctx *pulumi.Context, cfg *config.Config, last volumes.Outputs,
	missing missingImages) (map[string]bool, error) {
	pushed := maps.Clone(last.Images)
	maps.DeleteFunc(pushed, func(_, ref string) bool { return !strings.HasPrefix(ref, cfg.Registry.Path+"/") })
	lost := missing(ctx.Context(), pushed, cfg.Registry.Auth)
	if len(lost) == 0 {
		return nil, nil
	}
	return lost, ctx.Log.Info(fmt.Sprintf(
		"The registry has lost images. They are built again, because no new pod could start without them: %s.",
		strings.Join(slices.Sorted(maps.Keys(lost)), ", ")), nil)
}

// Runs miniflux, a feed reader that others have written, on a database with proven backups.
package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"github.com/stateful-k3s/stateful-k3s/infra/database"
	"github.com/stateful-k3s/stateful-k3s/infra/database/backup"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/image"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

// name is the name of the app, of its namespace and of its database.
const name = "miniflux"

// Images that are made from one of Postgres, as a release names them.
const serverImage, backupImage = "postgres-postgres-18", "backup-postgres-18"

func main() { pulumi.Run(deploy) }

func deploy(ctx *pulumi.Context) error {
	images, err := newImages(ctx)
	if err != nil {
		return err
	}
	provider, err := kube.NewProvider(ctx, "cluster", nil)
	if err != nil {
		return err
	}
	inCluster := pulumi.Provider(provider)
	namespace, err := kube.NewNamespace(ctx, name, kube.NamespaceArgs{Name: name}, inCluster)
	if err != nil {
		return err
	}
	store, err := storage.New(ctx, "storage", storage.Args{
		Namespace:    namespace,
		Image:        images["storage"],
		Accounts:     []string{name},
		StorageClass: "local-path",
	}, inCluster)
	if err != nil {
		return err
	}
	db, err := newDatabase(ctx, namespace, images, store.Bucket(name), inCluster)
	if err != nil {
		return err
	}
	return newMiniflux(ctx, namespace, images[name], db, inCluster)
}

// newImages builds miniflux from its Go module. It builds the other images from stateful-k3s, or takes the
// ones that the setting images names.
func newImages(ctx *pulumi.Context) (pulumi.StringMap, error) {
	targets := map[string]string{"storage": "storage", serverImage: "postgres",
		"postgres-exporter": "postgres-exporter", backupImage: "backup"}
	ours, published := slices.Sorted(maps.Keys(targets)), config.Get(ctx, "images")
	images := pulumi.StringMap{}
	build := func(imageName string, args image.Args) (err error) {
		args.Registry, args.Tag = config.Require(ctx, "registry"), ctx.Stack()
		images[imageName], err = image.New(ctx, imageName, args)
		return err
	}
	if err := build(name, image.Args{Context: name}); err != nil {
		return nil, err
	}
	if published != "" {
		registry, tag, _ := strings.Cut(published, "@")
		refs, err := image.Published{Registry: registry, Tag: tag}.Resolve(ctx.Context(), ours, nil, nil)
		maps.Copy(images, pulumi.ToStringMap(refs))
		return images, err
	}
	for _, imageName := range ours {
		args := image.Args{Context: "../..", Target: targets[imageName]}
		if err := build(imageName, args); err != nil {
			return nil, err
		}
	}
	return images, nil
}

func newDatabase(ctx *pulumi.Context, namespace *kube.Namespace, images pulumi.StringMap,
	bucket storage.Bucket, inCluster pulumi.ResourceOption) (*database.Database, error) {
	args := database.Args{
		Namespace: namespace,
		Name:      name,
		Images: database.Images{
			Server: images[serverImage], Exporter: images["postgres-exporter"], Backup: images[backupImage],
		},
		Bucket:  bucket,
		Folder:  pulumi.String(name),
		Server:  statefulset.Settings{StorageClass: "local-path", Memory: "256Mi"},
		Backup:  backup.Settings{KeepDaily: 7, KeepWeekly: 4, ScratchSize: "1Gi", Memory: "256Mi"},
		Archive: &database.Archive{Timeout: time.Minute, KeepDays: 7},
	}
	if from := config.Get(ctx, "restoreFrom"); from != "" {
		args.Restore = &backup.Restore{From: pulumi.String(from), Over: config.GetBool(ctx, "restoreOver")}
	}
	return database.New(ctx, name, args, inCluster)
}

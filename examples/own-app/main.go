// Runs miniflux, a feed reader that others have written, on a database with proven backups.
package main

import (
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

func main() { pulumi.Run(deploy) }

func deploy(ctx *pulumi.Context) error {
	images, err := buildImages(ctx)
	if err != nil {
		return err
	}
	namespace, err := kube.NewNamespace(ctx, name, kube.NamespaceArgs{Name: name})
	if err != nil {
		return err
	}
	store, err := storage.New(ctx, "storage", storage.Args{
		Namespace:    namespace,
		Image:        images["storage"],
		Accounts:     []string{name},
		StorageClass: "local-path",
	})
	if err != nil {
		return err
	}
	db, err := newDatabase(ctx, namespace, images, store.Bucket(name))
	if err != nil {
		return err
	}
	return newMiniflux(ctx, namespace, images[name], db)
}

// buildImages builds miniflux from its Go module, and the other images from stateful-k3s.
func buildImages(ctx *pulumi.Context) (pulumi.StringMap, error) {
	images := pulumi.StringMap{}
	for _, target := range []string{name, "storage", "postgres", "postgres-exporter", "backup"} {
		args := image.Args{Registry: config.Require(ctx, "registry"), Tag: ctx.Stack()}
		if target == name {
			args.Context = name
		} else {
			args.Context, args.Target = "../..", target
		}
		var err error
		if images[target], err = image.New(ctx, target, args); err != nil {
			return nil, err
		}
	}
	return images, nil
}

func newDatabase(ctx *pulumi.Context, namespace *kube.Namespace, images pulumi.StringMap,
	bucket storage.Bucket) (*database.Database, error) {
	args := database.Args{
		Namespace: namespace,
		Name:      name,
		Images: database.Images{
			Server: images["postgres"], Exporter: images["postgres-exporter"], Backup: images["backup"],
		},
		Bucket:  bucket,
		Folder:  name,
		Server:  statefulset.Settings{StorageClass: "local-path", Memory: "256Mi"},
		Backup:  backup.Settings{KeepDaily: 7, KeepWeekly: 4, ScratchSize: "1Gi", Memory: "256Mi"},
		Archive: &database.Archive{Timeout: time.Minute, KeepDays: 7},
	}
	if from := config.Get(ctx, "restoreFrom"); from != "" {
		args.Restore = &backup.Restore{From: from, Over: config.GetBool(ctx, "restoreOver")}
	}
	return database.New(ctx, name, args)
}

package main

import (
	"cmp"
	"context"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/config"
	"github.com/stateful-k3s/stateful-k3s/infra/database"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/image"
	"github.com/stateful-k3s/stateful-k3s/infra/volumes"
)

// majorOf returns the major version of Postgres that an image of a server says.
func majorOf(cfg *config.Config) func(ctx context.Context, ref string) string {
	return func(ctx context.Context, ref string) string {
		return image.Variable(ctx, ref, "PG_MAJOR", cfg.Registry.Auth(ref))
	}
}

// setVersions gives the databases the images that were decided on in the preflight. In a preview while the
// cluster is away, they keep the images of the last up.
func setVersions(cfg *config.Config, versions map[string]cluster.Version, last volumes.Outputs) {
	for i := range cfg.Databases {
		settings := &cfg.Databases[i]
		if version, known := versions[settings.Name]; known {
			settings.Version = version
		}
		settings.Version.Image = cmp.Or(settings.Version.Image, settings.Image,
			last.Volumes.Postgres[settings.Name], cluster.DefaultPostgres)
		settings.Image = settings.Version.Image
	}
}

// version is where a database's data comes from.
func (s *stack) version(settings config.Database) database.Version {
	decided := settings.Version
	version := database.Version{Version: statefulset.Version{Image: decided.Image, Template: decided.Template}}
	if decided.Rehearses {
		version.Rehearsal = s.images[imageName(backupImage, decided.OldImage)]
	}
	if decided.OldClaim != "" {
		version.Old = &statefulset.Old{
			Image: decided.OldImage, Claim: decided.OldClaim, Timeout: settings.Backup.Timeout,
			Out: s.images[imageName(backupImage, decided.OldImage)],
			In:  s.images[imageName(backupImage, settings.Image)],
		}
	}
	return version
}

package main

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/config"
	"github.com/stateful-k3s/stateful-k3s/infra/database"
	"github.com/stateful-k3s/stateful-k3s/infra/database/cloudnativepg"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

func (s *stack) newDatabase(settings config.Database) (*database.Database, error) {
	namespace := s.namespaces[settings.Namespace]
	args := database.Args{
		Namespace: namespace,
		Name:      settings.DatabaseName(),
		Prefix:    settings.Prefix(),
		Images: database.Images{
			Server:   pulumi.String(settings.Image),
			Exporter: s.images["postgres-exporter"],
			Backup:   s.images[imageName(backupImage, settings.Image)],
		},
		Bucket:  s.bucket(settings),
		Folder:  pulumi.String(settings.Account(namespace.Name)),
		Clients: s.clients(settings),
		Server:  settings.Server,
		Backup:  settings.Backup,
		Archive: settings.Archive,
		Version: s.version(settings),
		Restore: settings.Restore,
	}
	if settings.Engine == cluster.CloudNativePGEngine {
		args.CloudNativePG = &cloudnativepg.Settings{Instances: settings.Instances, Operator: s.operator,
			APIServers: s.cloudNativePG.APIServers, Archive: s.archive(settings),
			ArchiveTimeout: settings.ArchiveTimeout}
	} else if settings.Archive != nil {
		args.Images.Server = s.images[imageName(archivingPostgres, settings.Image)]
	}
	if existing, is := s.passwords[settings.Existing(namespace.Name)]; is {
		args.Server.Password, args.Server.ReaderPassword = existing.Owner, existing.Reader
	}
	return database.New(s.ctx, settings.Name, args, s.inCluster)
}

// archive returns what CloudNativePG needs to archive a database; nil for nothing.
func (s *stack) archive(settings config.Database) *cloudnativepg.Archive {
	if settings.Archive == nil {
		return nil
	}
	found := s.archives[settings.Name]
	archive := &cloudnativepg.Archive{Name: cmp.Or(found.Name, cloudnativepg.Name(settings.Prefix())),
		Schedule: settings.Backup.Schedule}
	if s.awaitArchiver != nil {
		namespace := s.namespaces[settings.Namespace].Name
		archive.Await = func(ctx context.Context) error {
			return s.awaitArchiver(ctx, namespace, cloudnativepg.Name(settings.Prefix()))
		}
	}
	if settings.Recovered() != "" {
		archive.Recovery = &cloudnativepg.Recovery{From: cmp.Or(found.From, archive.Name),
			Until: settings.RestoredTo()}
	}
	return archive
}

// clients names the stack's own namespaces where it can: there a client needs a policy too.
func (s *stack) clients(settings config.Database) (clients []kube.Pods) {
	for _, pods := range settings.Clients {
		for _, namespace := range s.namespaces {
			if namespace.Name == pods.Namespace.Name {
				pods.Namespace = namespace
			}
		}
		clients = append(clients, pods)
	}
	return clients
}

// bucket is the bucket at s3Endpoint or, without one, the storage server's for the database's own account.
func (s *stack) bucket(settings config.Database) storage.Bucket {
	if s.cfg.S3 != nil {
		return *s.cfg.S3
	}
	return s.storage.Bucket(settings.Account(s.namespaces[settings.Namespace].Name))
}

// newStorage returns the storage server, with an account for each database; nil with s3Endpoint.
func (s *stack) newStorage() (*storage.Storage, error) {
	if s.cfg.S3 != nil {
		return nil, nil
	}
	var accounts []string
	versions := maps.Clone(s.cfg.SecretVersions["storage"])
	for _, settings := range s.cfg.Databases {
		account := settings.Account(s.namespaces[settings.Namespace].Name)
		accounts = append(accounts, account)
		key := settings.Account(settings.Namespace) + "-key"
		if version, set := versions[key]; set {
			delete(versions, key)
			versions[account+"-key"] = version
		}
	}
	slices.Sort(accounts)
	return storage.New(s.ctx, "storage", storage.Args{
		Namespace:      s.namespaces[storageNamespace],
		Image:          s.images[storageImage],
		Accounts:       accounts,
		SecretVersions: versions,
		StorageClass:   s.cfg.StorageClass,
		StorageSize:    s.cfg.Storage.Size,
		Memory:         s.cfg.Storage.Memory,
	}, s.inCluster)
}

// newOperator returns the operator that databases of its engine need, with the plugin that archives; nil if
// there is none. It installs what the cluster lacks.
func (s *stack) newOperator() (operator *cloudnativepg.Operator, err error) {
	replicas, archived := 0, false
	for _, settings := range s.cfg.Databases {
		if settings.Engine == cluster.CloudNativePGEngine {
			replicas = max(replicas, min(settings.Instances, 2))
			archived = archived || settings.Archive != nil
		}
	}
	if replicas == 0 {
		return nil, nil
	}
	owner := kube.Owner(s.ctx)
	if namespace := s.cloudNativePG.Namespace; namespace != "" {
		operator = cloudnativepg.Existing(namespace)
	} else {
		manifest, err := s.manifest(cloudnativepg.OperatorRelease, s.ctx.Context())
		if err != nil {
			return nil, err
		}
		operator, err = cloudnativepg.Install(s.ctx, "cloudnative-pg", cloudnativepg.OperatorArgs{
			Manifest: manifest, Owner: owner, Replicas: replicas}, s.inCluster)
		if err != nil {
			return nil, err
		}
	}
	if !archived || s.cloudNativePG.HasPlugin {
		return operator, nil
	}
	manifest, err := s.manifest(cloudnativepg.PluginRelease, s.ctx.Context())
	if err != nil {
		return nil, err
	}
	return operator, operator.InstallPlugin(s.ctx, "barman-cloud", cloudnativepg.PluginArgs{
		Manifest: manifest, Owner: owner, Replicas: replicas, AnyNode: s.cloudNativePG.AnyNode}, s.inCluster)
}

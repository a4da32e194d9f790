package main

import (
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/config"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/volumes"
)

// The course's own names of the namespaces.
const (
	exercises        = "exercises"
	project          = "project"
	storageNamespace = "storage"
)

// namespaceNames are the stack's namespaces, without the prefix.
func namespaceNames(cfg *config.Config) []string {
	names := []string{exercises, project}
	for _, database := range cfg.Databases {
		names = append(names, database.Namespace)
	}
	if cfg.S3 == nil {
		names = append(names, storageNamespace)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// requirements is what the stack needs of its cluster.
func requirements(ctx *pulumi.Context, cfg *config.Config, last volumes.Outputs) cluster.Requirements {
	requirements := cluster.Requirements{
		Owner:        kube.Owner(ctx),
		LastOwner:    last.Volumes.Owner,
		StorageClass: cfg.StorageClass,
		DNSServers:   cfg.DNSServers,
		Ingress:      cfg.Ingress,
	}
	for _, name := range namespaceNames(cfg) {
		requirements.Namespaces = append(requirements.Namespaces, cfg.NamePrefix+name)
	}
	return requirements
}

func newNamespaces(ctx *pulumi.Context, cfg *config.Config,
	opts ...pulumi.ResourceOption) (map[string]*kube.Namespace, error) {
	namespaces := map[string]*kube.Namespace{}
	for _, name := range namespaceNames(cfg) {
		args := kube.NamespaceArgs{Name: cfg.NamePrefix + name, DNSServers: cfg.DNSServers}
		if pull := cfg.Registry.Pull; pull.Username != "" {
			args.Login = &kube.RegistryLogin{
				Server: cfg.Registry.Host, Username: pull.Username, Password: pull.Password,
			}
		}
		namespace, err := kube.NewNamespace(ctx, name, args, opts...)
		if err != nil {
			return nil, err
		}
		namespaces[name] = namespace
	}
	return namespaces, nil
}

// volumes are the settings that decide where the data is.
func (s *stack) volumes() volumes.Settings {
	names := map[string]string{}
	for name, namespace := range s.namespaces {
		names[name] = namespace.Name
	}
	return volumes.Settings{
		Namespaces:   names,
		Owner:        kube.Owner(s.ctx),
		StorageClass: s.cfg.StorageClass,
		Sizes: map[string]string{
			"redisStorageSize":    s.cfg.Redis.StorageSize,
			"postgresStorageSize": s.cfg.PostgresStorageSize,
			"storageSize":         s.cfg.Storage.Size,
		},
	}
}

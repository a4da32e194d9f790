package main

import (
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/config"
	"github.com/stateful-k3s/stateful-k3s/infra/database/cloudnativepg"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/redis"
	"github.com/stateful-k3s/stateful-k3s/infra/volumes"
)

// The course's own names of the namespaces.
const (
	exercises        = "exercises"
	project          = "project"
	storageNamespace = "storage"
	// monitoringNamespace is for the stack's own Prometheus.
	monitoringNamespace = "monitoring"
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
	if cfg.Monitoring.Mode == config.Builtin {
		names = append(names, monitoringNamespace)
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
		Shown:        []string{cfg.NamePrefix + exercises, cfg.NamePrefix + project},
		Claims:       claims(cfg),
		MajorOf:      majorOf(cfg),
		Redis: cluster.Redis{Namespace: cfg.NamePrefix + exercises, StatefulSet: redis.StatefulSet,
			Container: redis.Container, Image: cfg.Redis.Image, GoesBack: cfg.Redis.GoesBack},

		PrometheusOperator: cfg.Monitoring.Mode == config.Operator,
	}
	if cfg.Monitoring.Mode == config.Builtin && cfg.Monitoring.Prometheus.Ingress {
		requirements.Shown = append(requirements.Shown, cfg.NamePrefix+monitoringNamespace)
	}
	for _, database := range cfg.Databases {
		if database.ExistingSecret != "" {
			requirements.Secrets = append(requirements.Secrets, database.Existing(cfg.NamePrefix+database.Namespace))
		}
		requirements.CloudNativePG = requirements.CloudNativePG || database.Engine == cluster.CloudNativePGEngine
		requirements.Databases = append(requirements.Databases, cluster.Database{
			Name: database.Name, Namespace: cfg.NamePrefix + database.Namespace,
			Claim: statefulset.Claim(database.Prefix()), StatefulSet: statefulset.Name(database.Prefix()),
			Backup: database.Prefix() + backupImage, Cluster: cloudnativepg.Name(database.Prefix()),
			Engine: database.Engine, LastEngine: last.Volumes.Engines[database.Name],
			Restored: database.Restore != nil, Setting: database.EngineSetting(),
			Image: database.Image, LastImage: last.Volumes.Postgres[database.Name],
			ImageSetting: database.ImageSetting(), GoesBack: database.GoesBack,
			StorageClass: database.Server.StorageClass,
			Archived:     database.Archive != nil, ArchiveSetting: database.ArchiveSetting(),
			Recovered: database.Recovered(), RestoredTo: database.RestoredTo(),
		})
	}
	for _, name := range namespaceNames(cfg) {
		inCluster := cfg.NamePrefix + name
		requirements.Namespaces = append(requirements.Namespaces, inCluster)
		if !slices.Contains([]string{exercises, project, storageNamespace, monitoringNamespace}, name) {
			requirements.Shareable = append(requirements.Shareable, inCluster)
		}
	}
	return requirements
}

func (s *stack) newNamespaces() error {
	s.namespaces = map[string]*kube.Namespace{}
	for _, name := range namespaceNames(s.cfg) {
		inCluster := s.cfg.NamePrefix + name
		args := kube.NamespaceArgs{Name: inCluster, DNSServers: s.cfg.DNSServers,
			Shared:    slices.Contains(s.shared, inCluster),
			Annotated: s.cfg.Monitoring.Mode == config.Annotations}
		if pull := s.cfg.Registry.Pull; pull.Username != "" {
			args.Login = &kube.RegistryLogin{
				Server: s.cfg.Registry.Host, Username: pull.Username, Password: pull.Password,
			}
		}
		namespace, err := kube.NewNamespace(s.ctx, name, args, s.inCluster)
		if err != nil {
			return err
		}
		s.namespaces[name] = namespace
	}
	return nil
}

// volumes are the settings that decide where the data is.
func (s *stack) volumes() volumes.Settings {
	names := map[string]string{}
	for name, namespace := range s.namespaces {
		if !slices.Contains(s.shared, namespace.Name) {
			names[name] = namespace.Name
		}
	}
	databases, engines, postgres := map[string]string{}, map[string]string{}, map[string]string{}
	for _, settings := range s.cfg.Databases {
		postgres[settings.Name] = settings.Image
		engines[settings.Name] = settings.Engine
		databases[settings.Name] = s.databases[settings.Name].Claim
	}
	return volumes.Settings{
		Namespaces:   names,
		Owner:        kube.Owner(s.ctx),
		StorageClass: s.cfg.StorageClass,
		Databases:    databases,
		Engines:      engines,
		Postgres:     postgres,
	}
}

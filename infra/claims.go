package main

import (
	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/config"
	"github.com/stateful-k3s/stateful-k3s/infra/monitoring"
	"github.com/stateful-k3s/stateful-k3s/infra/redis"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

// claims are the claims of all StatefulSets and Clusters, with the sizes of the settings.
func claims(cfg *config.Config) (claims []cluster.Claim) {
	add := func(namespace, setting, size string, names ...string) {
		for _, name := range names {
			claims = append(claims, cluster.Claim{Namespace: cfg.NamePrefix + namespace, Name: name, Size: size,
				Setting: setting, Set: config.SetCommand(setting)})
		}
	}
	add(exercises, "redisStorageSize", cfg.Redis.StorageSize, redis.Claims...)
	if cfg.S3 == nil {
		add(storageNamespace, "storageSize", cfg.Storage.Size, storage.Claim)
	}
	if cfg.Monitoring.Mode == config.Builtin {
		add(monitoringNamespace, "prometheusStorageSize", cfg.Monitoring.Prometheus.StorageSize, monitoring.Claim)
	}
	for _, settings := range cfg.Databases {
		claims = append(claims, settings.Claim(cfg.NamePrefix+settings.Namespace))
	}
	return claims
}

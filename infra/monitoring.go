package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/config"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/monitoring"
)

// newMonitoring lets a Prometheus read all metrics; nil for none.
func (s *stack) newMonitoring() (*monitoring.Monitoring, error) {
	settings := s.cfg.Monitoring
	args := monitoring.Args{Metrics: s.metrics()}
	switch settings.Mode {
	case config.NoMonitoring:
		return nil, nil
	case config.Builtin:
		args.Prometheus = &monitoring.Prometheus{
			Namespace:    s.namespaces[monitoringNamespace],
			Image:        pulumi.String(settings.Prometheus.Image),
			StorageClass: s.cfg.StorageClass,
			StorageSize:  settings.Prometheus.StorageSize,
			Memory:       settings.Prometheus.Memory,
			KeepDays:     settings.Prometheus.KeepDays,
		}
		if settings.Prometheus.Ingress {
			args.Prometheus.Ingress = s.cfg.Ingress
		}
	case config.Operator:
		args.Monitors = &monitoring.Monitors{Labels: settings.ObjectLabels}
		fallthrough
	case config.Annotations:
		args.Scrapers = &settings.Scrapers
	}
	return monitoring.New(s.ctx, "monitoring", args, s.inCluster)
}

// metrics are all that the stack has.
func (s *stack) metrics() []kube.Metrics {
	all := append([]kube.Metrics{s.pingpong.Metrics, s.redis.Metrics}, s.todo.Metrics...)
	if s.storage != nil {
		all = append(all, s.storage.Metrics)
	}
	for _, settings := range s.cfg.Databases {
		all = append(all, s.databases[settings.Name].Metrics...)
	}
	return all
}

// The Pulumi program. This file is the whole graph: settings, images, databases, systems, outputs.
package main

import (
	"context"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/config"
	"github.com/stateful-k3s/stateful-k3s/infra/database"
	"github.com/stateful-k3s/stateful-k3s/infra/database/cloudnativepg"
	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/monitoring"
	"github.com/stateful-k3s/stateful-k3s/infra/pingpong"
	"github.com/stateful-k3s/stateful-k3s/infra/redis"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
	"github.com/stateful-k3s/stateful-k3s/infra/todo"
)

// stack is what the systems are made from, and the systems.
type stack struct {
	ctx       *pulumi.Context
	cfg       *config.Config
	images    pulumi.StringMap // by app
	shared    []string         // namespaces that are the user's
	passwords map[cluster.ExistingSecret]cluster.Passwords
	inCluster pulumi.ResourceOption

	cloudNativePG cluster.CloudNativePG // what the cluster has of it
	archives      map[string]cluster.Archive
	awaitArchiver func(ctx context.Context, namespace, cluster string) error // nil in a preview
	manifest      manifestOf
	operator      *cloudnativepg.Operator // nil unless a database needs it

	namespaces map[string]*kube.Namespace // by name without the prefix

	redis     *redis.Redis
	storage   *storage.Storage              // nil with s3Endpoint
	databases map[string]*database.Database // by name
	pingpong  *pingpong.Pingpong
	todo      *todo.Todo

	monitoring *monitoring.Monitoring // nil for none
}

// declare declares everything in the cluster, each object after what it needs.
func (s *stack) declare() (err error) {
	if err := s.newNamespaces(); err != nil {
		return err
	}
	if s.storage, err = s.newStorage(); err != nil {
		return err
	}
	if s.redis, err = s.newRedis(); err != nil {
		return err
	}
	if s.operator, err = s.newOperator(); err != nil {
		return err
	}
	s.databases = map[string]*database.Database{}
	for _, settings := range s.cfg.Databases {
		if s.databases[settings.Name], err = s.newDatabase(settings); err != nil {
			return err
		}
	}
	if s.pingpong, err = s.newPingpong(s.databases["pingpong"].Server); err != nil {
		return err
	}
	if s.todo, err = s.newTodo(s.databases["todo"].Server); err != nil {
		return err
	}
	s.monitoring, err = s.newMonitoring()
	return err
}

func (s *stack) newRedis() (*redis.Redis, error) {
	return redis.New(s.ctx, "redis", redis.Args{
		Namespace:      s.namespaces[exercises],
		Image:          pulumi.String(s.cfg.Redis.Image),
		GoesBack:       s.cfg.Redis.GoesBack,
		FillerImage:    s.images["redisfiller"],
		ExporterImage:  s.images["redis-exporter"],
		Password:       s.cfg.Redis.Password,
		SecretVersions: s.cfg.SecretVersions["redis"],
		StorageClass:   s.cfg.StorageClass,
		StorageSize:    s.cfg.Redis.StorageSize,
		Memory:         s.cfg.Redis.Memory,
	}, s.inCluster)
}

func (s *stack) newPingpong(db server.Server) (*pingpong.Pingpong, error) {
	return pingpong.New(s.ctx, "pingpong", pingpong.Args{
		Namespace:   s.namespaces[exercises],
		Image:       s.images["pingpong"],
		Replicas:    s.cfg.Pingpong.Replicas,
		Database:    db,
		Ingress:     s.cfg.Ingress,
		LogRequests: s.cfg.LogRequests,
	}, s.inCluster)
}

func (s *stack) newTodo(db server.Server) (*todo.Todo, error) {
	return todo.New(s.ctx, "todo", todo.Args{
		Namespace:        s.namespaces[project],
		BackendImage:     s.images["todo-backend"],
		FrontendImage:    s.images["todo-frontend"],
		DailyImage:       s.images["daily-todo"],
		BackendReplicas:  s.cfg.Todo.BackendReplicas,
		FrontendReplicas: s.cfg.Todo.FrontendReplicas,
		Database:         db,
		AllowedOrigins:   s.cfg.Todo.AllowedOrigins,
		OwnOrigins:       s.cfg.Todo.OwnOrigins,
		Login:            s.cfg.Todo.Login,
		Daily:            s.cfg.Todo.Daily,
		Ingress:          s.cfg.Ingress,
		LogRequests:      s.cfg.LogRequests,
	}, s.inCluster)
}

// exportApps sets the outputs of the stack's own apps.
func (s *stack) exportApps() error {
	s.ctx.Export("pingpong", s.pingpong.Address)
	s.ctx.Export("todoBackend", s.todo.Backend)
	s.ctx.Export("todoFrontend", s.todo.Frontend)
	if s.cfg.Ingress == nil {
		return s.ctx.Log.Info("Without an ingress nobody reaches the apps from outside. To see the page: "+
			"kubectl -n "+s.namespaces[project].Name+" port-forward service/todo-frontend-svc 8080:80", nil)
	}
	s.ctx.Export("pingpongUrl", s.pingpong.URL)
	s.ctx.Export("todoUrl", s.todo.URL)
	if s.cfg.Monitoring.Prometheus.Ingress && s.monitoring != nil {
		s.ctx.Export("prometheusUrl", s.monitoring.URL)
	}
	return nil
}

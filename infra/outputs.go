package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/volumes"
)

// export sets the stack's outputs.
func (s *stack) export(last volumes.Outputs) error {
	if err := volumes.Export(s.ctx, last, s.volumes()); err != nil {
		return err
	}
	s.ctx.Export("images", s.images)
	s.ctx.Export("redis", s.redis.Addresses)
	addresses, backups := pulumi.StringMap{}, pulumi.StringMap{}
	for name, db := range s.databases {
		addresses[name], backups[name] = db.Address, db.Backups
	}
	s.ctx.Export("postgres", addresses)
	s.ctx.Export("backups", backups)
	s.ctx.Export("pingpong", s.pingpong.Address)
	s.ctx.Export("todoBackend", s.todo.Backend)
	s.ctx.Export("todoFrontend", s.todo.Frontend)
	if s.cfg.Ingress == nil {
		return s.ctx.Log.Info("Without an ingress nobody reaches the apps from outside. To see the page: "+
			"kubectl -n "+s.namespaces[project].Name+" port-forward service/todo-frontend-svc 8080:80", nil)
	}
	s.ctx.Export("pingpongUrl", s.pingpong.URL)
	s.ctx.Export("todoUrl", s.todo.URL)
	return nil
}

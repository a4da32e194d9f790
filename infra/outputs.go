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
	return s.exportApps()
}

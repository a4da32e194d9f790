// The Pulumi program: one page that shows all of the stack.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/config"
	"github.com/stateful-k3s/stateful-k3s/infra/image"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/pingpong"
	"github.com/stateful-k3s/stateful-k3s/infra/postgres"
	"github.com/stateful-k3s/stateful-k3s/infra/redis"
)

// apps are the images, each a target of the Dockerfile.
var apps = []string{"pingpong", "postgres-exporter", "redisfiller"}

// namespaces are the course's own names.
var namespaces = []string{"exercises"}

func main() {
	pulumi.Run(program)
}

func program(ctx *pulumi.Context) error {
	cfg, err := config.Load(ctx)
	if err != nil {
		return err
	}
	images, err := buildImages(ctx, cfg)
	if err != nil {
		return err
	}
	provider, err := kube.NewProvider(ctx, "k3s")
	if err != nil {
		return err
	}
	inCluster := pulumi.Provider(provider)
	spaces, err := makeNamespaces(ctx, cfg, inCluster)
	if err != nil {
		return err
	}

	train, err := redis.New(ctx, "redis", redis.Args{
		Namespace:       spaces["exercises"],
		Image:           cfg.Redis.Image,
		FillerImage:     images["redisfiller"],
		Password:        cfg.Redis.Password,
		PasswordVersion: cfg.Redis.PasswordVersion,
		StorageClass:    cfg.StorageClass,
		StorageSize:     cfg.Redis.StorageSize,
		Memory:          cfg.Redis.Memory,
	}, inCluster)
	if err != nil {
		return err
	}

	pings, err := postgres.New(ctx, "pingpong-postgres", postgres.Args{
		Namespace:       spaces["exercises"],
		Image:           cfg.Postgres.Image,
		ExporterImage:   images["postgres-exporter"],
		Database:        "pingpong",
		Password:        cfg.Postgres.Password,
		ReaderPassword:  cfg.Postgres.ReaderPassword,
		PasswordVersion: cfg.Postgres.PasswordVersion,
		TLSVersion:      cfg.Postgres.TLSVersion,
		StorageClass:    cfg.StorageClass,
		StorageSize:     cfg.Postgres.StorageSize,
		Memory:          cfg.Postgres.Memory,
		Parameters:      cfg.Postgres.Parameters,
	}, inCluster)
	if err != nil {
		return err
	}
	counter, err := pingpong.New(ctx, "pingpong", pingpong.Args{
		Namespace: spaces["exercises"],
		Image:     images["pingpong"],
		Replicas:  cfg.Pingpong.Replicas,
		Database:  pings,
	}, inCluster)
	if err != nil {
		return err
	}

	names := pulumi.StringMap{}
	for name, space := range spaces {
		names[name] = pulumi.String(space.Name)
	}
	ctx.Export("namespaces", names)
	ctx.Export("images", images)
	ctx.Export("redis", train.Addresses)
	ctx.Export("postgres", pings.Address)
	ctx.Export("pingpong", counter.Address)
	return nil
}

func buildImages(ctx *pulumi.Context, cfg *config.Config) (pulumi.StringMap, error) {
	refs := pulumi.StringMap{}
	for _, app := range apps {
		ref, err := image.New(ctx, app, image.Args{
			Registry: cfg.Registry.Path,
			Tag:      ctx.Stack(),
			Username: cfg.Registry.Push.Username,
			Password: cfg.Registry.Push.Password,
			Builder:  cfg.Builder,
		})
		if err != nil {
			return nil, err
		}
		refs[app] = ref
	}
	return refs, nil
}

func makeNamespaces(ctx *pulumi.Context, cfg *config.Config, opts ...pulumi.ResourceOption) (map[string]*kube.Namespace, error) {
	spaces := map[string]*kube.Namespace{}
	for _, name := range namespaces {
		args := kube.NamespaceArgs{Name: cfg.NamePrefix + name}
		if pull := cfg.Registry.Pull; pull.Username != "" {
			args.Login = &kube.RegistryLogin{Server: cfg.Registry.Host, Username: pull.Username, Password: pull.Password}
		}
		space, err := kube.NewNamespace(ctx, name, args, opts...)
		if err != nil {
			return nil, err
		}
		spaces[name] = space
	}
	return spaces, nil
}

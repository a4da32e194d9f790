package main

import (
	"context"
	"fmt"
	"os"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/config"
	"github.com/stateful-k3s/stateful-k3s/infra/image"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/volumes"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == cluster.CredentialCommand {
		os.Exit(credential(os.Args[2:]))
	}
	pulumi.Run(program(cluster.Requirements.Preflight, image.Missing))
}

// preflight checks the cluster before anything is declared in it.
type preflight func(cluster.Requirements, *pulumi.Context, cluster.Access) (cluster.Approval, error)

// program reads the settings, asks cluster and registry, and declares the stack.
func program(check preflight, missing missingImages) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		cfg, err := config.Load(ctx)
		if err != nil {
			return err
		}
		last, err := volumes.Last(ctx)
		if err != nil {
			return err
		}
		approval, err := check(requirements(ctx, cfg, last), ctx, cfg.Cluster)
		if err != nil {
			return err
		}
		images, err := buildImages(ctx, cfg, last, missing)
		if err != nil {
			return err
		}
		provider, err := kube.NewProvider(ctx, "k3s", approval.Kubeconfig)
		if err != nil {
			return err
		}
		s := &stack{ctx: ctx, cfg: cfg, images: images, shared: approval.Shared,
			passwords: approval.Passwords, inCluster: pulumi.Provider(provider)}
		if err := s.declare(); err != nil {
			return err
		}
		return s.export(last)
	}
}

// credential writes a login for Pulumi's Kubernetes plugin, and returns the exit status.
func credential(arguments []string) int {
	if err := cluster.Credential(context.Background(), os.Stdout, os.Stderr, arguments); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

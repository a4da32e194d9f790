package main

import (
	"context"
	"fmt"
	"os"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/config"
	"github.com/stateful-k3s/stateful-k3s/infra/database/cloudnativepg"
	"github.com/stateful-k3s/stateful-k3s/infra/image"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/volumes"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == cluster.CredentialCommand {
		os.Exit(credential(os.Args[2:]))
	}
	pulumi.Run(program(cluster.Requirements.Preflight, image.Missing, cloudnativepg.Release.Manifest))
}

// preflight checks the cluster before anything is declared in it.
type preflight func(cluster.Requirements, *pulumi.Context, cluster.Access) (cluster.Approval, error)

// manifestOf returns the manifest of a release.
type manifestOf func(cloudnativepg.Release, context.Context) ([]byte, error)

// program reads the settings, asks cluster and registry, and declares the stack.
func program(check preflight, missing missingImages, manifest manifestOf) pulumi.RunFunc {
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
		if approval.Gateway != nil {
			cfg.Ingress.Gateway = approval.Gateway
		}
		setVersions(cfg, approval.Versions, last)
		images, err := newImages(ctx, cfg, last, approval.Platforms, missing)
		if err != nil {
			return err
		}
		provider, err := newProvider(ctx, approval.Kubeconfig)
		if err != nil {
			return err
		}
		s := &stack{ctx: ctx, cfg: cfg, images: images, shared: approval.Shared,
			passwords: approval.Passwords, inCluster: pulumi.Provider(provider),
			cloudNativePG: approval.CloudNativePG, archives: approval.Archives,
			awaitArchiver: approval.AwaitArchiver, manifest: manifest}
		if err := s.declare(); err != nil {
			return err
		}
		return s.export(last)
	}
}

// newProvider declares the provider of everything in the cluster. Without a kubeconfig, it keeps the one of
// the state.
func newProvider(ctx *pulumi.Context, kubeconfig pulumi.StringInput) (*kubernetes.Provider, error) {
	if kubeconfig == nil {
		return kube.NewProvider(ctx, "k3s", pulumi.String(""), pulumi.IgnoreChanges([]string{"kubeconfig"}))
	}
	return kube.NewProvider(ctx, "k3s", kubeconfig)
}

// credential writes a login for Pulumi's Kubernetes plugin, and returns the exit status.
func credential(arguments []string) int {
	if err := cluster.Credential(context.Background(), os.Stdout, os.Stderr, arguments); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

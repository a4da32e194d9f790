package tools

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// prepareTraefik makes copies of Traefik and of lego, which gets certificates for it, with our own stubs instead of
// Traefik's provider for Amazon's ECS and lego's clients of more than a hundred DNS services. These take half of the
// time that Traefik takes to compile; a lab has no ECS and asks nobody for certificates.
func prepareTraefik(ctx context.Context, modules string, env []string) error {
	dir := filepath.Join(modules, "traefik")
	traefik, err := moduleDir(ctx, dir, "github.com/traefik/traefik/v3@v"+traefikVersion, env)
	if err != nil {
		return err
	}
	lego, err := moduleDir(ctx, traefik, "github.com/go-acme/lego/v4", env) // its go.mod pins lego
	if err != nil {
		return err
	}
	stubs := filepath.Join(dir, "stubs")
	if err := copyWithStub(traefik, filepath.Join(dir, "traefik"), "pkg/provider/ecs", filepath.Join(stubs, "ecs")); err != nil {
		return fmt.Errorf("copying Traefik: %w", err)
	}
	if err := copyWithStub(lego, filepath.Join(dir, "lego"), "providers/dns", filepath.Join(stubs, "dns")); err != nil {
		return fmt.Errorf("copying lego: %w", err)
	}
	return nil
}

// copyWithStub copies a module but for one of its folders, in whose place it puts the stub's.
func copyWithStub(module, to, folder, stub string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.CopyFS(to, os.DirFS(module)); err != nil {
		return err
	}
	folder = filepath.Join(to, folder)
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	return os.CopyFS(folder, os.DirFS(stub))
}

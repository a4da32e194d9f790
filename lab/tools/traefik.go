package tools

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// prepareTraefik makes a copy of lego, which gets certificates for Traefik, with our own dns.go instead of its clients
// of more than a hundred DNS services. They take a third of the time that Traefik takes to compile; a lab asks nobody
// for certificates.
func prepareTraefik(ctx context.Context, modules string, env []string) error {
	dir := filepath.Join(modules, "traefik")
	traefik, err := moduleDir(ctx, dir, "github.com/traefik/traefik/v3", env)
	if err != nil {
		return err
	}
	module, err := moduleDir(ctx, traefik, "github.com/go-acme/lego/v4", env) // its go.mod pins lego
	if err != nil {
		return err
	}
	lego := filepath.Join(dir, "lego")
	providers := filepath.Join(lego, "providers", "dns")
	if err := os.RemoveAll(lego); err != nil {
		return err
	}
	if err := os.CopyFS(lego, os.DirFS(module)); err != nil {
		return fmt.Errorf("copying lego: %w", err)
	}
	if err := os.RemoveAll(providers); err != nil {
		return err
	}
	return copyFile(filepath.Join(dir, "dns", "dns.go"), filepath.Join(providers, "dns.go"))
}

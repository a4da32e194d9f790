package tools

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// trimmed is a module that a tool is compiled with after stubs have taken the place of some packages. They
// take long to compile, and labs do not use them. The stubs go into a copy of the module, with which the
// go.mod beside it replaces it.
type trimmed struct {
	// module is the module's path, copy the folder of its copy.
	module, copy string
	// stubs are packages in the folder stubs, by the module's folders that they stand for.
	stubs map[string]string
}

// k3s's embedded registry mirror, which brings libp2p, and places for its data other than SQLite.
var trimmedK3s = []trimmed{
	{"github.com/k3s-io/k3s", "k3s", map[string]string{"pkg/spegel": "spegel"}},
	{"github.com/k3s-io/kine", "kine",
		map[string]string{"pkg/drivers/nats": "driver", "pkg/drivers/pgsql": "driver"}},
}

// Traefik's provider for Amazon's ECS, and lego's clients of more than a hundred DNS services.
var trimmedTraefik = []trimmed{
	{"github.com/traefik/traefik/v3", "traefik", map[string]string{"pkg/provider/ecs": "ecs"}},
	{"github.com/go-acme/lego/v4", "lego", map[string]string{"providers/dns": "dns"}},
}

// trim makes the copy in the folder that pins the module.
func (t trimmed) trim(ctx context.Context, dir string, env []string) error {
	module, err := moduleDir(ctx, dir, t.module, env)
	if err != nil {
		return err
	}
	to := filepath.Join(dir, t.copy)
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.CopyFS(to, os.DirFS(module)); err != nil {
		return fmt.Errorf("copying %s: %w", t.module, err)
	}
	for folder, stub := range t.stubs {
		folder = filepath.Join(to, folder)
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
		if err := os.CopyFS(folder, os.DirFS(filepath.Join(dir, "stubs", stub))); err != nil {
			return fmt.Errorf("putting a stub in place of %s: %w", folder, err)
		}
	}
	return nil
}

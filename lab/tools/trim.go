package tools

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// trimmed is a module in which stubs replace packages that take long to compile and that labs do not use. The
// stubs go into a copy of the module; the go.mod beside the copy replaces the module with it.
type trimmed struct {
	// module is the path of the module, copy the folder of its copy.
	module, copy string
	// stubs maps folders of the module to their replacements in the folder stubs.
	stubs map[string]string
}

// trimmedK3s leaves out k3s's embedded registry mirror (with libp2p), and databases other than SQLite.
var trimmedK3s = []trimmed{
	{"github.com/k3s-io/k3s", "k3s", map[string]string{"pkg/spegel": "spegel"}},
	{"github.com/k3s-io/kine", "kine",
		map[string]string{"pkg/drivers/nats": "driver", "pkg/drivers/pgsql": "driver"}},
}

// trimmedTraefik leaves out Amazon's ECS and the clients of more than a hundred DNS services.
var trimmedTraefik = []trimmed{
	{"github.com/traefik/traefik/v3", "traefik", map[string]string{"pkg/provider/ecs": "ecs"}},
	{"github.com/go-acme/lego/v4", "lego", map[string]string{"providers/dns": "dns"}},
}

// trim copies the module into the folder of its go.mod and puts the stubs in place.
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

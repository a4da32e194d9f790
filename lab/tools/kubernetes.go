package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// copyKubernetesSchema puts the plugin's schema beside its main: the module has
// it, without the version that its release process adds, where no other module
// can embed it.
func copyKubernetesSchema(ctx context.Context, dir string) error {
	module, err := ModuleDir(ctx, dir, "github.com/pulumi/pulumi-kubernetes/provider/v4")
	if err != nil {
		return err
	}
	from := filepath.Join(module, "cmd", "pulumi-resource-kubernetes")

	content, err := os.ReadFile(filepath.Join(from, "schema.json"))
	if err != nil {
		return err
	}
	var schema map[string]json.RawMessage
	if err := json.Unmarshal(content, &schema); err != nil {
		return fmt.Errorf("reading the plugin's schema: %w", err)
	}
	schema["version"] = json.RawMessage(`"` + KubernetesPluginVersion + `"`)
	if content, err = json.Marshal(schema); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "schema.json"), content, 0o644); err != nil {
		return err
	}

	if content, err = os.ReadFile(filepath.Join(from, "terraform-mapping.json")); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "terraform-mapping.json"), content, 0o644)
}

// ModuleDir says where the module cache keeps the version of a module that the module in dir requires.
func ModuleDir(ctx context.Context, dir, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	download := exec.CommandContext(ctx, "go", "mod", "download", module)
	for _, c := range []*exec.Cmd{download, cmd} {
		c.Dir = dir
		c.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
		c.Stderr = os.Stderr
	}
	if err := download.Run(); err != nil {
		return "", fmt.Errorf("downloading %s: %w", module, err)
	}
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}

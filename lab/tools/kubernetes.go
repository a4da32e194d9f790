package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/files"
)

// prepareKubernetesPlugin makes the files that Pulumi's Kubernetes plugin needs beside its module.
func prepareKubernetesPlugin(ctx context.Context, modules string, env []string) error {
	if err := copySchema(ctx, filepath.Join(modules, "kubernetes"), env); err != nil {
		return fmt.Errorf("copying the plugin's schema: %w", err)
	}
	if err := trimSDK(ctx, modules, env); err != nil {
		return fmt.Errorf("trimming the plugin's SDK: %w", err)
	}
	return nil
}

// copySchema copies the plugin's schema from its module, where no other module can embed it, beside our main
// package. It adds the version, as the plugin's release process does.
func copySchema(ctx context.Context, dir string, env []string) error {
	module, err := moduleDir(ctx, dir, "github.com/pulumi/pulumi-kubernetes/provider/v4", env)
	if err != nil {
		return err
	}
	from, to := filepath.Join(module, "cmd", "pulumi-resource-kubernetes"), filepath.Join(dir, "plugin")

	content, err := os.ReadFile(filepath.Join(from, "schema.json"))
	if err != nil {
		return err
	}
	var schema map[string]json.RawMessage
	if err := json.Unmarshal(content, &schema); err != nil {
		return fmt.Errorf("reading it: %w", err)
	}
	schema["version"] = json.RawMessage(`"` + KubernetesPluginVersion + `"`)
	if content, err = json.Marshal(schema); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(to, "schema.json"), content, 0o644); err != nil {
		return err
	}
	return copyFile(filepath.Join(from, "terraform-mapping.json"), filepath.Join(to, "terraform-mapping.json"))
}

// trimSDK copies the few packages of Pulumi's Kubernetes SDK that the plugin uses, with our own register.go.
// The original names a type for each kind of object, which doubles the plugin's compile time; it uses no
// fields.
func trimSDK(ctx context.Context, modules string, env []string) error {
	program := filepath.Join(modules, "..", "..") // its go.mod pins the SDK
	module, err := moduleDir(ctx, program, "github.com/pulumi/pulumi-kubernetes/sdk/v4", env)
	if err != nil {
		return err
	}
	sdk := filepath.Join(modules, "kubernetes", "sdk")
	if err := os.RemoveAll(sdk); err != nil {
		return err
	}
	for _, pattern := range []string{
		"go.mod", "go/kubernetes/*.go", "go/kubernetes/pulumi-plugin.json", "go/kubernetes/utilities/*.go",
		"go/kubernetes/helm/v4/*.go",
	} {
		matches, err := filepath.Glob(filepath.Join(module, pattern))
		if err != nil {
			return err
		}
		if len(matches) == 0 {
			return fmt.Errorf("%s has no %s", module, pattern)
		}
		for _, file := range matches {
			if err := copyFile(file, filepath.Join(sdk, strings.TrimPrefix(file, module))); err != nil {
				return err
			}
		}
	}
	return copyFile(
		filepath.Join(modules, "kubernetes", "plugin", "yaml", "register.go"),
		filepath.Join(sdk, "go", "kubernetes", "yaml", "v2", "register.go"),
	)
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return files.Write(to, content, 0o644)
}

// Package stack prepares Pulumi for a lab: state, passphrase, plugins, and the
// environment that makes it all work in any shell.
package stack

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

const project = "stateful-k3s"

// wrapper keeps the encryption salt, which pulumi writes into the stack's settings, out of the checkout.
const wrapper = `#!/bin/sh
# Pulumi notes the stack's encryption salt in its settings file. This gives it a
# copy of the file, so that the checkout stays clean.
case "$1" in
up|update|preview|refresh|destroy|import|watch)
	checked_in=%[1]s/Pulumi.$PULUMI_STACK.yaml copy=%[2]s/Pulumi.$PULUMI_STACK.yaml
	salt=$(sed -n '/^encryptionsalt:/p' "$copy" 2>/dev/null)
	cat "$checked_in" 2>/dev/null >"$copy.new"
	grep -q '^encryptionsalt:' "$copy.new" || echo "$salt" >>"$copy.new"
	mv "$copy.new" "$copy"
	set -- "$@" --config-file "$copy"
esac
exec %[3]s "$@"
`

// Prepare makes the state, installs the plugins and writes the environment file, whose path it returns.
func Prepare(ctx context.Context, lab layout.Lab, binaries tools.Binaries) (string, error) {
	for _, dir := range []string{lab.Dir("pulumi"), lab.CheckoutDir("bin"), lab.CheckoutDir("buildx", "instances")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	}
	if err := makePassphrase(lab.Dir("passphrase")); err != nil {
		return "", fmt.Errorf("making the passphrase of the state: %w", err)
	}
	if err := writeBin(lab, binaries); err != nil {
		return "", fmt.Errorf("writing %s: %w", lab.CheckoutDir("bin"), err)
	}
	builder, err := json.Marshal(map[string]any{
		"Name": lab.ID(), "Driver": "remote",
		"Nodes": []map[string]any{{"Name": lab.ID(), "Endpoint": "unix://" + lab.BuildkitSocket()}},
	})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(lab.CheckoutDir("buildx", "instances", lab.ID()), builder, 0o644); err != nil {
		return "", err
	}

	path := lab.CheckoutDir("env")
	variables := environment(lab)
	var file strings.Builder
	file.WriteString("# . this file, and pulumi, kubectl and crictl work on the lab " + lab.Name + "\n")
	for _, v := range variables {
		fmt.Fprintf(&file, "export %s=%q\n", v[0], v[1])
	}
	fmt.Fprintf(&file, "export PATH=%q:\"$PATH\"\n", lab.CheckoutDir("bin"))
	if err := os.WriteFile(path, []byte(file.String()), 0o644); err != nil {
		return "", err
	}
	if lab.Name == "dev" {
		if err := symlink("dev/env", filepath.Join(lab.Checkout, ".lab", "env")); err != nil {
			return "", err
		}
	}

	for plugin, version := range map[string]string{"kubernetes": tools.KubernetesPluginVersion, "docker-build": tools.DockerBuildPluginVersion} {
		if _, err := os.Stat(filepath.Join(pulumiHome(lab), "plugins", "resource-"+plugin+"-v"+version)); err == nil {
			continue
		}
		if err := Pulumi(ctx, lab, "plugin", "install", "resource", plugin, version, "--file", binaries["pulumi-resource-"+plugin]); err != nil {
			return "", fmt.Errorf("installing Pulumi's %s plugin: %w", plugin, err)
		}
	}
	if err := makeStack(ctx, lab); err != nil {
		return "", fmt.Errorf("making the stack %s: %w", lab.Name, err)
	}
	return path, nil
}

// makeStack makes it from a copy of the project file, beside which Pulumi writes the stack's new salt.
func makeStack(ctx context.Context, lab layout.Lab) error {
	if _, err := os.Stat(lab.Dir("pulumi", "Pulumi."+lab.Name+".yaml")); err == nil {
		return nil
	}
	file, err := os.ReadFile(filepath.Join(lab.Checkout, "Pulumi.yaml"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(lab.Dir("pulumi", "Pulumi.yaml"), file, 0o644); err != nil {
		return err
	}
	return Pulumi(ctx, lab, "stack", "select", "--create", "--stack", lab.Name, "--cwd", lab.Dir("pulumi"))
}

func environment(lab layout.Lab) [][2]string {
	return [][2]string{
		{"STATEFUL_K3S_LAB", lab.Name},
		{"STATEFUL_K3S_REGISTRY", lab.Registry()},
		{"KUBECONFIG", lab.Kubeconfig()},
		{"BUILDX_CONFIG", lab.CheckoutDir("buildx")},
		{"BUILDX_BUILDER", lab.ID()},
		{"PULUMI_HOME", pulumiHome(lab)},
		{"PULUMI_BACKEND_URL", "file://" + lab.Dir("pulumi")},
		{"PULUMI_CONFIG_PASSPHRASE_FILE", lab.Dir("passphrase")},
		{"PULUMI_STACK", lab.Name},
		{"PULUMI_SKIP_UPDATE_CHECK", "true"},
	}
}

func pulumiHome(lab layout.Lab) string { return filepath.Join(lab.Cache, "pulumi") }

// Pulumi runs pulumi on the lab's stack and shows what it says only when it fails.
func Pulumi(ctx context.Context, lab layout.Lab, args ...string) error {
	cmd := exec.CommandContext(ctx, lab.CheckoutDir("bin", "pulumi"), append(args, "--non-interactive")...)
	cmd.Dir = lab.Checkout
	cmd.Env = os.Environ()
	for _, v := range environment(lab) {
		cmd.Env = append(cmd.Env, v[0]+"="+v[1])
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pulumi %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

func makePassphrase(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(rand.Text()), 0o600)
}

// writeBin fills the folder that goes in front of PATH.
func writeBin(lab layout.Lab, binaries tools.Binaries) error {
	links := map[string]string{
		lab.CheckoutDir("bin", "kubectl"): binaries["k3s"],
		// Beside pulumi it is taken for a part of it; found on PATH it brings a warning in every run.
		filepath.Join(filepath.Dir(binaries["pulumi"]), "pulumi-language-go"): binaries["pulumi-language-go"],
	}
	for link, target := range links {
		if err := symlink(target, link); err != nil {
			return err
		}
	}
	script := fmt.Sprintf(wrapper, lab.Checkout, lab.Dir("pulumi"), binaries["pulumi"])
	return os.WriteFile(lab.CheckoutDir("bin", "pulumi"), []byte(script), 0o755)
}

func symlink(target, link string) error {
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(target, link)
}

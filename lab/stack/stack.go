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

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

const project = "stateful-k3s"

// wrapper keeps the encryption salt, which pulumi writes into the stack's settings, out of the checkout, and
// half a program out of what a killed pulumi leaves.
const wrapper = `#!/bin/sh
# Pulumi notes the stack's encryption salt in its settings file. This gives it a
# copy of the file, so that the checkout stays clean.
checked_in=%[1]s/Pulumi.$PULUMI_STACK.yaml copy=%[2]s/Pulumi.$PULUMI_STACK.yaml
case "$1" in
up|update|preview|refresh|destroy|import|watch)
	salt=$(sed -n '/^encryptionsalt:/p' "$copy" 2>/dev/null)
	cat "$checked_in" 2>/dev/null >"$copy.new"
	grep -q '^encryptionsalt:' "$copy.new" || echo "$salt" >>"$copy.new"
	mv "$copy.new" "$copy"
	set -- "$@" --config-file "$copy"
	;;
config)
	# Here the salt belongs to secret settings, and goes with the last one.
	%[3]s "$@"
	status=$?
	if grep -q '^encryptionsalt:' "$checked_in" 2>/dev/null && ! grep -q ' secure:' "$checked_in"; then
		sed -i '/^encryptionsalt:/d' "$checked_in"
	fi
	exit $status
esac
# The program is compiled beside where it stays, to get there as a whole.
export GOTMPDIR=%[4]s
# The state is sealed with the lab's own passphrase, whatever the shell has.
unset PULUMI_CONFIG_PASSPHRASE
export PULUMI_CONFIG_PASSPHRASE_FILE=%[6]s
# The lab's registry has a certificate of its own, and wants a login.
if [ -r %[8]s ]; then
	export SSL_CERT_DIR="%[7]s:${SSL_CERT_DIR:-/etc/ssl/certs:/etc/pki/tls/certs}"
	export DOCKER_AUTH_CONFIG="$(cat %[8]s)" # where Docker has a configuration
	export REGISTRY_AUTH_FILE=%[8]s          # where it has none
	# Builds have the proxies of Docker's configuration, or else the shell's.
	http=${HTTP_PROXY:-${http_proxy:-}} https=${HTTPS_PROXY:-${https_proxy:-}}
	if [ -n "$http$https" ] && [ ! -e "${DOCKER_CONFIG:-$HOME/.docker}/config.json" ]; then
		export DOCKER_CONFIG=%[9]s
		mkdir -p "$DOCKER_CONFIG"
		printf '{"proxies": {"default": {"httpProxy": "%%s", "httpsProxy": "%%s", "noProxy": "%%s"}}}' \
			"$http" "$https" "$NO_PROXY" >"$DOCKER_CONFIG/config.json.new"
		mv "$DOCKER_CONFIG/config.json.new" "$DOCKER_CONFIG/config.json"
	fi
fi
# It is compiled as make compiles it, so that either finds what the other has compiled.
case "$GOFLAGS" in
*-gcflags*) ;;
*) export GOFLAGS="$(go env GOFLAGS) %[5]s"
esac
exec %[3]s "$@"
`

// Prepare makes the state, installs the plugins and writes the environment file, whose path it returns.
// The variables are what the cluster adds to it.
func Prepare(ctx context.Context, lab layout.Lab, binaries tools.Binaries, variables []Variable) (string,
	error) {
	if err := os.MkdirAll(lab.Dir("pulumi"), 0o700); err != nil {
		return "", err
	}
	if err := os.MkdirAll(lab.CheckoutDir("bin"), 0o755); err != nil {
		return "", err
	}
	if err := makePassphrase(lab.Dir("passphrase")); err != nil {
		return "", fmt.Errorf("making the passphrase of the state: %w", err)
	}
	if err := writeBin(lab, binaries); err != nil {
		return "", fmt.Errorf("writing %s: %w", lab.CheckoutDir("bin"), err)
	}
	path, err := WriteEnvironment(lab, append(environment(lab), variables...), lab.CheckoutDir("bin"))
	if err != nil {
		return "", err
	}
	if err := installPlugins(lab, binaries); err != nil {
		return "", fmt.Errorf("installing Pulumi's plugins: %w", err)
	}
	if err := makeStack(ctx, lab); err != nil {
		return "", fmt.Errorf("making the stack %s: %w", lab.Name, err)
	}
	return path, nil
}

// Variable is one line of the environment file, whose value a shell expands.
type Variable struct{ Name, Value string }

// LabVariables lead to the lab's own cluster, registry and builder.
func LabVariables(lab layout.Lab) ([]Variable, error) {
	instances := lab.CheckoutDir("buildx", "instances")
	if err := os.MkdirAll(instances, 0o755); err != nil {
		return nil, err
	}
	builder, err := json.Marshal(map[string]any{
		"Name": lab.ID(), "Driver": "remote",
		"Nodes": []map[string]any{{"Name": lab.ID(), "Endpoint": "unix://" + lab.BuildkitSocket()}},
	})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(instances, lab.ID()), builder, 0o644); err != nil {
		return nil, fmt.Errorf("describing the builder: %w", err)
	}
	direct := layout.Range.String() + "," + lab.IngressAddress().String() + ".sslip.io"
	return []Variable{
		// No proxy is asked for what is the lab's. Programs read the one or the other of these.
		{"no_proxy", "${NO_PROXY:-${no_proxy:-}}"},
		{"NO_PROXY", direct + ",${no_proxy#" + direct + ",}"},
		{"no_proxy", "$NO_PROXY"},
		{"STATEFUL_K3S_LAB", lab.Name},
		{"STATEFUL_K3S_REGISTRY", lab.Registry()},
		{"STATEFUL_K3S_INGRESS_ADDRESS", lab.IngressAddress().String()},
		{"KUBECONFIG", lab.Kubeconfig()},
		{"BUILDX_CONFIG", lab.CheckoutDir("buildx")},
		{"BUILDX_BUILDER", lab.ID()},
	}, nil
}

// WriteEnvironment writes the file of exports that a shell reads, and returns its path.
// The default lab's is also at .lab/env.
func WriteEnvironment(lab layout.Lab, variables []Variable, bin string) (string, error) {
	var file strings.Builder
	for _, v := range variables {
		fmt.Fprintf(&file, "export %s=%q\n", v.Name, v.Value)
	}
	if bin != "" {
		fmt.Fprintf(&file, "case :$PATH: in *:%[1]s:*) ;; *) export PATH=%[1]q:\"$PATH\" ;; esac\n", bin)
	}
	path := lab.CheckoutDir("env")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	if err := write(path, file.String(), 0o644); err != nil {
		return "", err
	}
	if lab.Name != layout.Default {
		return path, nil
	}
	short := filepath.Join(lab.Checkout, ".lab", "env")
	return short, symlink(filepath.Join(lab.Name, "env"), short)
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
	return runPulumi(ctx, lab, "stack", "select", "--create", "--stack", lab.Name, "--cwd", lab.Dir("pulumi"))
}

// installPlugins does what pulumi plugin install does, without a copy: other tools of the same version take
// the place of those before.
func installPlugins(lab layout.Lab, binaries tools.Binaries) error {
	for plugin, version := range map[string]string{"kubernetes": tools.KubernetesPluginVersion,
		"docker-build": tools.DockerBuildPluginVersion} {
		tool := "pulumi-resource-" + plugin
		dir := filepath.Join(pulumiHome(lab), "plugins", "resource-"+plugin+"-v"+version)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := symlink(binaries[tool], filepath.Join(dir, tool)); err != nil {
			return err
		}
	}
	return nil
}

func environment(lab layout.Lab) []Variable {
	return []Variable{
		{"PULUMI_HOME", pulumiHome(lab)},
		// What a killed pulumi leaves is whole: metadata, unlike the state, is not replaced by a rename.
		{"PULUMI_BACKEND_URL", "file://" + lab.Dir("pulumi") + "?metadata=skip"},
		{"PULUMI_CONFIG_PASSPHRASE_FILE", lab.Dir("passphrase")},
		{"PULUMI_STACK", lab.Name},
		{"PULUMI_SKIP_UPDATE_CHECK", "true"},
	}
}

func pulumiHome(lab layout.Lab) string { return filepath.Join(lab.Cache, "pulumi") }

// runPulumi runs pulumi on the lab's stack and shows what it says only when it fails.
func runPulumi(ctx context.Context, lab layout.Lab, args ...string) error {
	cmd := exec.CommandContext(ctx, lab.CheckoutDir("bin", "pulumi"), append(args, "--non-interactive")...)
	cmd.Dir = lab.Checkout
	cmd.Env = os.Environ()
	for _, v := range environment(lab) {
		cmd.Env = append(cmd.Env, v.Name+"="+v.Value)
	}
	defer progress.Start("pulumi "+args[0], nil)()
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
		// Beside pulumi it is taken for a part of it; found on PATH it brings a warning in every run.
		filepath.Join(filepath.Dir(binaries["pulumi"]), "pulumi-language-go"): binaries["pulumi-language-go"],
	}
	if k3s, ok := binaries["k3s"]; ok {
		links[lab.CheckoutDir("bin", "kubectl")] = k3s
	}
	for link, target := range links {
		if err := symlink(target, link); err != nil {
			return err
		}
	}
	script := fmt.Sprintf(wrapper, lab.Checkout, lab.Dir("pulumi"), binaries["pulumi"], lab.CheckoutDir(),
		programFlags,
		lab.Dir("passphrase"), filepath.Dir(lab.RegistryCertificate()), lab.RegistryLogin(), lab.Dir("docker"))
	return write(lab.CheckoutDir("bin", "pulumi"), script, 0o755)
}

// write replaces a file as a whole: a shell may be reading it.
func write(path, content string, mode fs.FileMode) error {
	if err := os.WriteFile(path+".new", []byte(content), mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func symlink(target, link string) error {
	if is, err := os.Readlink(link); err == nil && is == target {
		return nil // another lab may be using it
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(target, link)
}

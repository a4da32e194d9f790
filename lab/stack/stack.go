// Package stack prepares Pulumi for a lab: state, passphrase, plugins, and the environment for shells. It
// also recovers, copies and purges stacks.
package stack

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/files"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

const project = "stateful-k3s"

// wrapper is the pulumi of a lab's shell. It keeps the encryption salt, which pulumi writes into the stack's
// settings, out of the checkout.
//
//go:embed pulumi.sh
var wrapper string

// Prepare makes the state, installs the plugins and writes the environment file, with variables that lead to
// the cluster. It returns the path of the file.
func Prepare(
	ctx context.Context, lab layout.Lab, binaries tools.Binaries, variables []Variable,
) (string, error) {
	if err := os.MkdirAll(lab.Dir("pulumi"), 0o700); err != nil {
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

// Variable is a line of the environment file. A shell expands its value.
type Variable struct{ Name, Value string }

// LabVariables returns variables that lead to the lab's cluster, registry and builder.
func LabVariables(lab layout.Lab) ([]Variable, error) {
	const instance = `{"Name": %[1]q, "Driver": "remote", "Nodes": [{"Name": %[1]q, "Endpoint": %[2]q}]}`
	builder := fmt.Appendf(nil, instance, lab.ID(), "unix://"+lab.BuildkitSocket())
	if err := files.Write(lab.CheckoutDir("buildx", "instances", lab.ID()), builder, 0o644); err != nil {
		return nil, fmt.Errorf("describing the builder: %w", err)
	}
	direct := layout.Range.String() + "," + lab.IngressAddress().String() + ".sslip.io"
	return []Variable{
		// The lab is reached without a proxy. Programs read one or the other of these.
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

// WriteEnvironment writes the file that shells read, and returns its path. The default lab's is also
// .lab/env.
func WriteEnvironment(lab layout.Lab, variables []Variable, bin string) (string, error) {
	var file strings.Builder
	for _, v := range variables {
		fmt.Fprintf(&file, "export %s=%q\n", v.Name, v.Value)
	}
	if bin != "" {
		fmt.Fprintf(&file, "case \":$PATH:\" in *:%[1]q:*) ;; *) export PATH=%[1]q:\"$PATH\" ;; esac\n", bin)
	}
	path := lab.CheckoutDir("env")
	if err := files.Write(path, []byte(file.String()), 0o644); err != nil {
		return "", err
	}
	if lab.Name != layout.Default {
		return path, nil
	}
	short := filepath.Join(lab.Checkout, ".lab", "env")
	return short, files.Link(filepath.Join(lab.Name, "env"), short)
}

// makeStack creates the stack beside a copy of the project file, where Pulumi writes the new salt.
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

// installPlugins does what pulumi plugin install does, with links instead of copies.
func installPlugins(lab layout.Lab, binaries tools.Binaries) error {
	for plugin, version := range map[string]string{
		"kubernetes": tools.KubernetesPluginVersion, "docker-build": tools.DockerBuildPluginVersion,
	} {
		tool := "pulumi-resource-" + plugin
		dir := filepath.Join(pulumiHome(lab), "plugins", "resource-"+plugin+"-v"+version)
		if err := files.Link(binaries[tool], filepath.Join(dir, tool)); err != nil {
			return err
		}
	}
	return nil
}

func environment(lab layout.Lab) []Variable {
	return []Variable{
		{"PULUMI_HOME", pulumiHome(lab)},
		// A killed pulumi would leave half of the metadata, which unlike the state it does not rename into place.
		{"PULUMI_BACKEND_URL", "file://" + lab.Dir("pulumi") + "?metadata=skip"},
		{"PULUMI_CONFIG_PASSPHRASE_FILE", lab.Dir("passphrase")},
		{"PULUMI_STACK", lab.Name},
		{"PULUMI_SKIP_UPDATE_CHECK", "true"},
	}
}

func pulumiHome(lab layout.Lab) string { return filepath.Join(lab.Cache, "pulumi") }

// runPulumi runs pulumi on the lab's stack. It shows the output only of a failure.
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
	return files.Write(path, []byte(rand.Text()), 0o600)
}

// writeBin fills the folder that the environment file adds to PATH.
func writeBin(lab layout.Lab, binaries tools.Binaries) error {
	links := map[string]string{
		// On PATH, instead of beside pulumi, it would bring a warning in every run.
		filepath.Join(filepath.Dir(binaries["pulumi"]), "pulumi-language-go"): binaries["pulumi-language-go"],
	}
	if k3s, ok := binaries["k3s"]; ok {
		links[lab.CheckoutDir("bin", "kubectl")] = k3s
	}
	for link, target := range links {
		if err := files.Link(target, link); err != nil {
			return err
		}
	}
	var script strings.Builder
	err := template.Must(template.New("").Parse(wrapper)).Execute(&script, map[string]string{
		"Checkout": lab.Checkout, "State": lab.Dir("pulumi"), "Pulumi": binaries["pulumi"],
		"Temporary": lab.CheckoutDir(), "Passphrase": lab.Dir("passphrase"), "Login": lab.RegistryLogin(),
		"Trusted": filepath.Dir(lab.RegistryCertificate()), "Docker": lab.Dir("docker"),
		"ProgramFlags": programFlags,
	})
	if err != nil {
		return err
	}
	return files.Write(lab.CheckoutDir("bin", "pulumi"), []byte(script.String()), 0o755)
}

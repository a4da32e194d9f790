package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// cluster is the cluster of the selected stack.
type cluster struct {
	// kubeconfig is a file for kubectl. It is empty before the first update: then the environment's counts.
	kubeconfig string
	// dir is where the commands in the kubeconfig run, as under Pulumi.
	dir string
}

// findCluster reads the cluster from the stack's state.
func findCluster(ctx context.Context, lab layout.Lab) (cluster, error) {
	text, err := kubeconfig(ctx, "--show-secrets")
	if err != nil || text == "" {
		return cluster{}, err
	}
	file, err := os.CreateTemp("", "kubeconfig-")
	if err != nil {
		return cluster{}, err
	}
	c := cluster{file.Name(), programDir(lab)}
	if _, err = file.WriteString(text); err != nil {
		c.close()
		return cluster{}, errors.Join(err, file.Close())
	}
	return c, file.Close()
}

func (c cluster) close() {
	if c.kubeconfig != "" {
		_ = os.Remove(c.kubeconfig)
	}
}

func (c cluster) kubectl(ctx context.Context, args ...string) *exec.Cmd {
	if c.kubeconfig != "" {
		args = append([]string{"--kubeconfig", c.kubeconfig}, args...)
	}
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Dir = c.dir
	return cmd
}

// CheckCluster fails if the selected stack is on another cluster than the environment leads to. Its error
// names both: it comes from the command for the login that the program puts into the state.
func CheckCluster(ctx context.Context, lab layout.Lab) error {
	text, err := kubeconfig(ctx)
	if err != nil {
		return err
	}
	var file struct {
		Users []struct {
			User struct {
				Exec struct {
					Command string
					Args    []string
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		return errors.New("the stack's state has no kubeconfig that can be read") // err may quote secrets
	}
	for _, user := range file.Users {
		login := user.User.Exec
		if login.Command == "" {
			continue // the stack's settings lead to the cluster
		}
		cmd := exec.CommandContext(ctx, login.Command, login.Args...)
		cmd.Dir = programDir(lab)
		var faults bytes.Buffer
		cmd.Stderr = &faults
		answer, err := cmd.Output()
		var credential struct{ Kind string }
		if err != nil || json.Unmarshal(answer, &credential) != nil || credential.Kind != "ExecCredential" {
			return fmt.Errorf("the stack %s cannot be reached: %s", lab.Name, strings.TrimSpace(faults.String()))
		}
	}
	return nil
}

// kubeconfig returns the kubeconfig of the provider in the state of the selected stack. It is empty if there
// is none, or if it is secret and the flags do not show secrets.
func kubeconfig(ctx context.Context, flags ...string) (string, error) {
	export := exec.CommandContext(ctx, "pulumi", append([]string{"stack", "export"}, flags...)...)
	export.Stdin = os.Stdin // it may ask for the passphrase
	out, err := output(export)
	if err != nil {
		return "", err
	}
	var state struct {
		Deployment struct {
			Resources []struct {
				Type   string
				Inputs struct{ Kubeconfig any }
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &state); err != nil {
		return "", fmt.Errorf("reading the stack's state: %w", err)
	}
	for _, resource := range state.Deployment.Resources {
		if resource.Type != "pulumi:providers:kubernetes" {
			continue
		}
		switch kubeconfig := resource.Inputs.Kubeconfig.(type) {
		case string:
			return kubeconfig, nil
		case map[string]any: // a secret, whose plain text is JSON
			plain, shown := kubeconfig["plaintext"].(string)
			if !shown {
				return "", nil
			}
			var text string
			if err := json.Unmarshal([]byte(plain), &text); err != nil {
				return "", errors.New("the stack's state has no kubeconfig that can be read")
			}
			return text, nil
		}
	}
	return "", nil
}

func programDir(lab layout.Lab) string { return filepath.Join(lab.Checkout, "infra") }

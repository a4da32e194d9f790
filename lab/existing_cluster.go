package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/stack"
)

// existingCluster returns the user's $KUBECONFIG, unless it is a lab's from an earlier `. .lab/env`. It makes
// paths absolute: shells in other folders read them from the environment file.
func existingCluster() string {
	paths := filepath.SplitList(os.Getenv("KUBECONFIG"))
	for i, path := range paths {
		if absolute, err := filepath.Abs(path); err == nil && path != "" {
			paths[i] = absolute
		}
	}
	kubeconfig := strings.Join(paths, string(filepath.ListSeparator))
	if strings.HasPrefix(kubeconfig, layout.Root+"/") {
		return ""
	}
	return kubeconfig
}

// useExistingCluster prepares Pulumi for the user's own cluster, after asking: the pulumi on PATH with its
// backend, or else the lab's.
func useExistingCluster(ctx context.Context, lab layout.Lab, kubeconfig string, yes bool) error {
	if err := confirmCluster(lab, kubeconfig, yes, os.Stdin); err != nil {
		return err
	}
	variables := []stack.Variable{{Name: "KUBECONFIG", Value: kubeconfig}}
	if pulumi, err := exec.LookPath("pulumi"); err == nil {
		slog.Info("using the pulumi on PATH, with its backend", "pulumi", pulumi)
		variables = append(variables, stack.Variable{Name: "PULUMI_STACK", Value: lab.Name})
		if _, err := stack.WriteEnvironment(lab, variables, ""); err != nil {
			return err
		}
		create := exec.CommandContext(ctx, pulumi, "stack", "select", "--create", "--stack", lab.Name)
		create.Dir = lab.Checkout
		create.Stdin, create.Stdout, create.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := create.Run(); err != nil {
			return fmt.Errorf("selecting the stack %s: %w", lab.Name, err)
		}
		return nil
	}
	lab, err := lab.InHome()
	if err != nil {
		return err
	}
	return inOrder(
		func(s *setup, _ context.Context) error { s.variables = variables; return nil },
		(*setup).showEstimate,
		(*setup).getPulumi,
		(*setup).deleteCompilerCaches,
		(*setup).preparePulumi,
	).run(ctx, lab)
}

// confirmCluster names the user's cluster, and fails unless yes is set or a person at a terminal agrees.
func confirmCluster(lab layout.Lab, kubeconfig string, yes bool, from *os.File) error {
	cluster, err := describeCluster(lab, kubeconfig)
	if err != nil {
		return err
	}
	fmt.Printf("KUBECONFIG is set, so the stack goes to no lab, but to %s\n", cluster)
	if yes {
		return nil
	}
	const nothing = "nothing was done. For a lab: unset KUBECONFIG"
	if _, err := unix.IoctlGetTermios(int(from.Fd()), unix.TCGETS); err != nil {
		return errors.New("there is no terminal to confirm this cluster on, and " + nothing + ". To use it: YES=1")
	}
	if !confirm(from, "Type yes to use it: ", "yes") {
		return errors.New(nothing)
	}
	return nil
}

// kubeFile is the part of a kubeconfig that names clusters.
type kubeFile struct {
	CurrentContext string `yaml:"current-context"`
	Contexts       []struct {
		Name    string
		Context struct{ Cluster string }
	}
	Clusters []struct {
		Name    string
		Cluster struct{ Server string }
	}
}

// describeCluster names the context and the cluster that the stack's program takes from the files of
// KUBECONFIG. As with kubectl, the first file that defines a name counts.
func describeCluster(lab layout.Lab, kubeconfig string) (string, error) {
	settings, err := readSettings(lab)
	if err != nil {
		return "", err
	}
	for _, key := range []string{"kubeconfig", "kubeconfigFrom"} {
		if settings["stateful-k3s:"+key] != nil {
			return fmt.Sprintf("the cluster of the setting %s of the stack %s", key, lab.Name), nil
		}
	}
	context, _ := settings["stateful-k3s:kubeContext"].(string)
	clusters, servers := map[string]string{}, map[string]string{}
	for _, path := range filepath.SplitList(kubeconfig) {
		content, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // as kubectl does
		}
		if err != nil {
			return "", fmt.Errorf("reading your KUBECONFIG: %w", err)
		}
		var file kubeFile
		if err := yaml.Unmarshal(content, &file); err != nil {
			return "", fmt.Errorf("reading your KUBECONFIG: %s is no kubeconfig", path) // err may quote secrets
		}
		context = cmp.Or(context, file.CurrentContext)
		for _, c := range file.Contexts {
			clusters[c.Name] = cmp.Or(clusters[c.Name], c.Context.Cluster)
		}
		for _, c := range file.Clusters {
			servers[c.Name] = cmp.Or(servers[c.Name], c.Cluster.Server)
		}
	}
	server := servers[clusters[context]]
	if server == "" {
		return "", fmt.Errorf("your KUBECONFIG %s leads to no cluster: kubectl config get-contexts shows the "+
			"contexts; for a lab: unset KUBECONFIG", kubeconfig)
	}
	return fmt.Sprintf("the cluster %s (context %s of %s)", server, context, kubeconfig), nil
}

// readSettings reads the settings of the stack from its file.
func readSettings(lab layout.Lab) (map[string]any, error) {
	path := filepath.Join(lab.Checkout, "Pulumi."+lab.Name+".yaml")
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var file struct{ Config map[string]any }
	if err := yaml.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return file.Config, nil
}

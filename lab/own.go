package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// ownCluster is the user's KUBECONFIG, unless it is one of a lab's from an earlier `. .lab/env`.
func ownCluster() string {
	kubeconfig := os.Getenv("KUBECONFIG")
	if strings.HasPrefix(kubeconfig, layout.Root+"/") {
		return ""
	}
	return kubeconfig
}

// agree says which cluster is the user's own, and returns an error unless that is to be used: yes says so, or
// else a person does at a terminal.
func agree(lab layout.Lab, kubeconfig string, yes bool, from *os.File) error {
	cluster, err := describeOwn(lab, kubeconfig)
	if err != nil {
		return err
	}
	fmt.Printf("KUBECONFIG is set, so that this is about no lab, but %s\n", cluster)
	if yes {
		return nil
	}
	const without = "nothing was done. For a lab: unset KUBECONFIG"
	if _, err := unix.IoctlGetTermios(int(from.Fd()), unix.TCGETS); err != nil {
		return errors.New("nobody is there to say that this cluster is meant, and " + without +
			". To go on there: YES=1")
	}
	if !meant(from) {
		return errors.New(without)
	}
	return nil
}

func meant(from io.Reader) bool {
	fmt.Print("Type yes to go on there: ")
	answer, _ := bufio.NewReader(from).ReadString('\n')
	return strings.TrimSpace(answer) == "yes"
}

// kubeFile is what is read of a kubeconfig.
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

// describeOwn names the context and the cluster that the stack's program takes from the files of a
// KUBECONFIG. Of what stands in several the first counts.
func describeOwn(lab layout.Lab, kubeconfig string) (string, error) {
	settings, err := readSettings(lab)
	if err != nil {
		return "", err
	}
	for _, key := range []string{"kubeconfig", "kubeconfigFrom"} {
		if settings[project+":"+key] != nil {
			return fmt.Sprintf("the cluster of the setting %s of the stack %s", key, lab.Name), nil
		}
	}
	context, _ := settings[project+":kubeContext"].(string)
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
			return "", fmt.Errorf("reading your KUBECONFIG: %s is none", path) // the reason may quote what is secret
		}
		if context == "" {
			context = file.CurrentContext
		}
		for _, c := range file.Contexts {
			if clusters[c.Name] == "" {
				clusters[c.Name] = c.Context.Cluster
			}
		}
		for _, c := range file.Clusters {
			if servers[c.Name] == "" {
				servers[c.Name] = c.Cluster.Server
			}
		}
	}
	server := servers[clusters[context]]
	if server == "" {
		return "", fmt.Errorf("your KUBECONFIG %s leads to no cluster: kubectl config get-contexts shows those there are; for a lab: unset KUBECONFIG", kubeconfig)
	}
	return fmt.Sprintf("the cluster %s (context %s of %s)", server, context, kubeconfig), nil
}

const project = "stateful-k3s"

// readSettings are those of the stack that is named like the lab, as they stand in its file.
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

package stack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// Purge destroys the selected stack and deletes its namespaces with all volumes, if confirm agrees to the
// list.
func Purge(ctx context.Context, lab layout.Lab, confirm func(what string) bool) error {
	cluster, err := findCluster(ctx, lab)
	if err != nil {
		return err
	}
	defer cluster.close()
	owner, err := stackName(ctx)
	if err != nil {
		return fmt.Errorf("finding the selected stack: %w", err)
	}
	namespaces, err := namespacesOf(ctx, cluster, owner)
	if err != nil {
		return err
	}
	if len(namespaces) == 0 {
		fmt.Println("There is nothing to delete: the cluster has no namespace of the stack", owner)
		return nil
	}
	what, err := describe(ctx, cluster, namespaces)
	if err != nil {
		return err
	}
	if !confirm(what) {
		return errors.New("nothing was deleted")
	}
	for _, cmd := range []*exec.Cmd{
		exec.CommandContext(ctx, "pulumi", "destroy", "--yes", "--skip-preview", "--non-interactive"),
		cluster.kubectl(ctx, append([]string{"delete"}, namespaces...)...),
	} {
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
		}
	}
	return removeOperator(ctx, cluster)
}

// describe lists the namespaces with their claims.
func describe(ctx context.Context, c cluster, namespaces []string) (string, error) {
	server, err := output(c.kubectl(ctx, "config", "view", "--minify",
		"--output", "jsonpath={.clusters[0].cluster.server}"))
	if err != nil {
		return "", err
	}
	what := "in the cluster " + server + ", for good:"
	for _, namespace := range namespaces {
		const list = `jsonpath={range .items[*]}  with {.metadata.name} ({.status.capacity.storage}){"\n"}{end}`
		claims, err := output(c.kubectl(ctx, "get", "persistentvolumeclaims",
			"--namespace", path.Base(namespace), "--output", list))
		if err != nil {
			return "", err
		}
		what += "\n" + namespace + "\n" + strings.TrimSuffix(claims, "\n")
	}
	return what, nil
}

// namespacesOf returns the namespaces whose annotation has the stack's name. Their label has only a part of a
// long name; earlier versions wrote the whole name into the label alone.
func namespacesOf(ctx context.Context, c cluster, owner string) ([]string, error) {
	const mark = "stateful-k3s/stack"
	out, err := output(c.kubectl(ctx, "get", "namespaces", "--selector", mark, "--output", "json"))
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []struct {
			Metadata struct {
				Name                string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("reading the cluster's namespaces: %w", err)
	}
	var names []string
	for _, item := range list.Items {
		if cmp.Or(item.Metadata.Annotations[mark], item.Metadata.Labels[mark]) == owner {
			names = append(names, "namespace/"+item.Metadata.Name)
		}
	}
	return names, nil
}

// stackName returns the stack's name as the program annotates its namespaces: organization.stack.
func stackName(ctx context.Context) (string, error) {
	out, err := output(exec.CommandContext(ctx, "pulumi", "about", "--json"))
	if err != nil {
		return "", err
	}
	var about struct {
		CurrentStack struct{ FullyQualifiedName string }
	}
	if err := json.Unmarshal([]byte(out), &about); err != nil {
		return "", err
	}
	organization, stack := path.Split(about.CurrentStack.FullyQualifiedName)
	return path.Dir(path.Clean(organization)) + "." + stack, nil
}

func output(cmd *exec.Cmd) (string, error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return string(out), nil
}

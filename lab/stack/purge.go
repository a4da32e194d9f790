package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
)

// Purge destroys the stack that the environment selects and deletes its
// namespaces, with every volume in them, after confirm agreed to their names.
func Purge(ctx context.Context, confirm func(namespaces []string) bool) error {
	owner, err := stackLabel(ctx)
	if err != nil {
		return fmt.Errorf("finding the selected stack: %w", err)
	}
	out, err := output(ctx, "kubectl", "get", "namespaces", "--selector", "stateful-k3s/stack="+owner, "--output", "name")
	if err != nil {
		return err
	}
	namespaces := strings.Fields(out)
	if len(namespaces) == 0 {
		fmt.Println("There is nothing to delete: the cluster has no namespace of the stack", owner)
		return nil
	}
	if !confirm(namespaces) {
		return fmt.Errorf("nothing was deleted")
	}
	for _, args := range [][]string{
		{"pulumi", "destroy", "--yes", "--skip-preview", "--non-interactive"},
		append([]string{"kubectl", "delete"}, namespaces...),
	} {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
		}
	}
	return nil
}

// stackLabel is the value that the program gives the label of its namespaces: organization.stack.
func stackLabel(ctx context.Context) (string, error) {
	out, err := output(ctx, "pulumi", "about", "--json")
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

func output(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}

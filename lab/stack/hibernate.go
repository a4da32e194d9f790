package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// clusterKind are the database servers of CloudNativePG. They outlive the stack, with their volumes.
const clusterKind = "clusters.postgresql.cnpg.io"

// Hibernate stops the selected stack's servers of CloudNativePG. Their volumes stay, and the next update
// starts them again.
func Hibernate(ctx context.Context, lab layout.Lab) error {
	out, err := output(exec.CommandContext(ctx, "pulumi", "stack", "export"))
	if err != nil {
		return err
	}
	servers, err := serversIn([]byte(out))
	if err != nil || len(servers) == 0 {
		return err
	}
	cluster, err := findCluster(ctx, lab)
	if err != nil {
		return err
	}
	defer cluster.close()
	for _, verb := range [][]string{
		{"annotate", "--overwrite", "cnpg.io/hibernation=on"},
		{"wait", "--for=condition=cnpg.io/hibernation", "--timeout=10m"},
	} {
		for _, server := range servers {
			slog.Info("stopping", "servers", server.Name, "namespace", server.Namespace)
			end := progress.Start("waiting until the servers of "+server.Namespace+" have stopped", nil)
			out, err := cluster.kubectl(ctx, append([]string{verb[0], clusterKind, server.Name, "--namespace",
				server.Namespace}, verb[1:]...)...).CombinedOutput()
			end()
			if err != nil && !strings.Contains(string(out), "NotFound") {
				return fmt.Errorf("stopping the servers %s in %s: %w\n%s", server.Name, server.Namespace, err, out)
			}
		}
	}
	return nil
}

type server struct{ Namespace, Name string }

// serversIn returns the servers of CloudNativePG in a stack's state.
func serversIn(state []byte) (servers []server, err error) {
	var exported struct {
		Deployment struct {
			Resources []struct {
				Type   string
				Inputs struct{ Metadata server }
			}
		}
	}
	if err := json.Unmarshal(state, &exported); err != nil {
		return nil, fmt.Errorf("reading the stack's state: %w", err)
	}
	for _, resource := range exported.Deployment.Resources {
		if resource.Type == "kubernetes:postgresql.cnpg.io/v1:Cluster" {
			servers = append(servers, resource.Inputs.Metadata)
		}
	}
	return servers, nil
}

// removeOperator deletes an operator that a stack installed, unless anybody's servers are left.
func removeOperator(ctx context.Context, c cluster) error {
	const installed = "stateful-k3s/installed-by"
	definition, err := c.kubectl(ctx, "get", "crd", "--selector", installed, "--output", "name",
		"--field-selector", "metadata.name="+clusterKind).Output()
	if err != nil || len(definition) == 0 {
		return nil // who may not even ask has not installed it
	}
	left, err := output(c.kubectl(ctx, "get", clusterKind, "--all-namespaces", "--output", "name"))
	if err != nil || left != "" {
		return err
	}
	slog.Info("deleting CloudNativePG, which a stack installed and no database needs any more")
	// Only the operator lets the Service of its plugin go.
	_, err = output(c.kubectl(ctx, "delete", "--selector", installed, "--all-namespaces", "service"))
	if err != nil {
		return err
	}
	_, err = output(c.kubectl(ctx, "delete", "--selector", installed, "crd,clusterrole,clusterrolebinding,"+
		"mutatingwebhookconfiguration,validatingwebhookconfiguration,namespace"))
	return err
}

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// ready waits until the API answers, the node is ready and the system's pods run.
func (s server) ready(ctx context.Context, since time.Time) error {
	return s.daemon().await(ctx, 5*time.Minute, func() error {
		if err := s.writeKubeconfig(); err != nil {
			return err
		}
		var nodes nodeList
		if err := s.get(ctx, &nodes, "nodes"); err != nil {
			return err
		}
		if err := nodes.ready(s.node.Name(), since); err != nil {
			return err
		}
		var pods podList
		if err := s.get(ctx, &pods, "pods", "--namespace", "kube-system"); err != nil {
			return err
		}
		return pods.ready(since, "coredns", "local-path-provisioner")
	})
}

// writeKubeconfig copies the administrator's access, which names the address that only the node has.
func (s server) writeKubeconfig() error {
	config, err := os.ReadFile(s.inNode(nodeConf, "kubeconfig"))
	if err != nil {
		return fmt.Errorf("the cluster's certificates are not there yet: %w", err)
	}
	named := strings.NewReplacer(
		"https://127.0.0.1:", "https://"+s.node.Address().String()+":", "https://0.0.0.0:", "https://"+s.node.Address().String()+":",
		": default", ": "+s.lab.ID(),
	).Replace(string(config))
	if have, err := os.ReadFile(s.lab.Kubeconfig()); err == nil && string(have) == named {
		return nil
	}
	return os.WriteFile(s.lab.Kubeconfig(), []byte(named), 0o600)
}

func (s server) get(ctx context.Context, into any, args ...string) error {
	cmd := exec.CommandContext(ctx, s.binaries["k3s"])
	cmd.Args = append([]string{"kubectl", "--kubeconfig", s.lab.Kubeconfig(), "--cache-dir", s.lab.Dir("run", "kubectl"), "--request-timeout", "5s", "get", "--output", "json"}, args...)
	out, err := cmd.Output()
	if err != nil {
		said := ""
		if exit, ok := err.(*exec.ExitError); ok {
			said = strings.TrimSpace(string(exit.Stderr))
		}
		return fmt.Errorf("asking the cluster for its %s: %w: %s", args[0], err, said)
	}
	return json.Unmarshal(out, into)
}

type condition struct {
	Type              string    `json:"type"`
	Status            string    `json:"status"`
	Message           string    `json:"message"`
	LastHeartbeatTime time.Time `json:"lastHeartbeatTime"`
}

type nodeList struct {
	Items []struct {
		Metadata struct{ Name string }
		Status   struct{ Conditions []condition }
	}
}

// ready takes only what was said since then: a node that was killed stays ready in the API for a while.
func (l nodeList) ready(name string, since time.Time) error {
	for _, node := range l.Items {
		for _, c := range node.Status.Conditions {
			if node.Metadata.Name == name && c.Type == "Ready" {
				if c.Status == "True" && !c.LastHeartbeatTime.Before(since.Truncate(time.Second)) {
					return nil
				}
				return fmt.Errorf("node %s is not ready: %s", name, c.Message)
			}
		}
	}
	return fmt.Errorf("node %s has not joined", name)
}

type podList struct {
	Items []struct {
		Metadata struct{ Name string }
		Status   struct {
			ContainerStatuses []struct {
				Ready bool
				State struct {
					Running *struct{ StartedAt time.Time }
					Waiting *struct{ Reason, Message string }
				}
			}
		}
	}
}

func (l podList) ready(since time.Time, deployments ...string) error {
	var errs []error
	for _, deployment := range deployments {
		errs = append(errs, l.deploymentReady(since, deployment))
	}
	return errors.Join(errs...)
}

func (l podList) deploymentReady(since time.Time, deployment string) error {
	why := "no pod yet"
	for _, pod := range l.Items {
		if !strings.HasPrefix(pod.Metadata.Name, deployment+"-") {
			continue
		}
		why = "not started"
		for _, container := range pod.Status.ContainerStatuses {
			running := container.State.Running
			if container.Ready && running != nil && !running.StartedAt.Before(since.Truncate(time.Second)) {
				return nil
			}
			if waiting := container.State.Waiting; waiting != nil {
				why = waiting.Reason + " " + waiting.Message
			}
		}
	}
	return fmt.Errorf("%s in kube-system is not ready: %s", deployment, why)
}

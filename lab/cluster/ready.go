package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/subprocess"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// awaitAPI waits until the API answers, so that agents can join.
func (s server) awaitAPI(ctx context.Context) error {
	return s.daemon().await(ctx, 5*time.Minute, func() error {
		if err := s.writeKubeconfig(); err != nil {
			return err
		}
		return s.get(ctx, &nodeList{}, "nodes")
	})
}

// awaitReady waits until the nodes are ready and the add-ons run. It ignores reports of the API about a node
// from before its start.
func (s server) awaitReady(ctx context.Context, wanted []layout.Node, starts map[string]time.Time) error {
	return s.daemon().await(ctx, 5*time.Minute, func() error {
		var nodes nodeList
		if err := s.get(ctx, &nodes, "nodes"); err != nil {
			return err
		}
		for _, node := range wanted {
			if err := (k3s{lab: s.lab, node: node}).daemon().checkAlive(); err != nil {
				return err
			}
			if err := nodes.checkReady(node.Name(), starts[node.Name()]); err != nil {
				return err
			}
		}
		var pods podList
		if err := s.get(ctx, &pods, "pods", "--namespace", "kube-system"); err != nil {
			return err
		}
		for _, addOn := range []string{"coredns", "local-path-provisioner", "traefik"} {
			if err := pods.checkReady(addOn, starts); err != nil {
				return s.explain(err, nodes, leastFree)
			}
		}
		return nil
	})
}

// explain adds the reasons of nodes to the error of a pod. A disk with fewer free bytes than least is
// fatal.
func (s server) explain(err error, nodes nodeList, least uint64) error {
	if full := checkDisk(s.lab.Dir(), least); full != nil {
		return fatal{full}
	}
	for _, node := range s.lab.Nodes() {
		for _, pressure := range nodes.pressures(node.Name()) {
			err = fmt.Errorf("node %s has %s: %w", node.Name(), pressure, err)
		}
	}
	return err
}

// leastFree is the free disk, in bytes, below which the kubelet evicts pods and starts none.
const leastFree = 1 << 30

// checkDisk fails if the disk has fewer free bytes than least.
func checkDisk(dir string, least uint64) error {
	var system unix.Statfs_t
	if err := unix.Statfs(dir, &system); err != nil {
		return err
	}
	free := system.Bavail * uint64(system.Bsize)
	if free >= least {
		return nil
	}
	return fmt.Errorf("the disk of %s has %.1f GB free, and with less than %.0f GB Kubernetes starts no pods "+
		"(DiskPressure): free some (make lab-delete LAB=… deletes a lab that is not needed), and run the "+
		"command again", dir, float64(free)/(1<<30), float64(least)/(1<<30))
}

// writeKubeconfig copies the administrator's kubeconfig, with the node's address in place of a local one.
func (s server) writeKubeconfig() error {
	config, err := os.ReadFile(s.inNode(nodeConf, "kubeconfig"))
	if err != nil {
		return fmt.Errorf("the cluster's certificates are not there yet: %w", err)
	}
	address := "https://" + s.node.Address().String() + ":"
	named := strings.NewReplacer("https://127.0.0.1:", address, "https://0.0.0.0:", address,
		": default", ": "+s.lab.ID()).Replace(string(config))
	if have, err := os.ReadFile(s.lab.Kubeconfig()); err == nil && string(have) == named {
		return nil
	}
	return os.WriteFile(s.lab.Kubeconfig(), []byte(named), 0o600)
}

func (s server) get(ctx context.Context, into any, args ...string) error {
	get := []string{"--request-timeout", "5s", "get", "--output", "json"}
	out, err := s.kubectl(ctx, append(get, args...)...)
	if err != nil {
		return fmt.Errorf("asking the cluster for its %s: %w", args[0], err)
	}
	return json.Unmarshal(out, into)
}

func (s server) kubectl(ctx context.Context, args ...string) ([]byte, error) {
	return subprocess.Output(s.kubectlCommand(ctx, args...))
}

func (s server) kubectlCommand(ctx context.Context, args ...string) *exec.Cmd {
	access := []string{"--kubeconfig", s.lab.Kubeconfig(), "--cache-dir", s.lab.Dir("run", "kubectl")}
	return exec.CommandContext(ctx, s.inNode(nodeBin, "kubectl"), append(access, args...)...)
}

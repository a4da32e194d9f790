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

	"golang.org/x/sys/unix"
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
		if err := nodes.readySince(s.node.Name(), since); err != nil {
			return err
		}
		var pods podList
		if err := s.get(ctx, &pods, "pods", "--namespace", "kube-system"); err != nil {
			return err
		}
		if err := pods.readySince(since, "coredns", "local-path-provisioner", "traefik"); err != nil {
			return s.because(err, nodes, leastFree)
		}
		return nil
	})
}

// because adds to an error of pods what their node lacks. That there is less free disk than least, in bytes,
// no waiting mends.
func (s server) because(err error, nodes nodeList, least uint64) error {
	if full := diskFull(s.lab.Dir(), least); full != nil {
		return fatal{full}
	}
	for _, pressure := range nodes.pressures(s.node.Name()) {
		err = fmt.Errorf("node %s has %s: %w", s.node.Name(), pressure, err)
	}
	return err
}

// leastFree is the free disk, in bytes, with which the kubelet evicts pods and starts none.
const leastFree = 1 << 30

// diskFull fails when the disk has less free than that, in bytes.
func diskFull(dir string, least uint64) error {
	var system unix.Statfs_t
	if err := unix.Statfs(dir, &system); err != nil {
		return err
	}
	free := system.Bavail * uint64(system.Bsize)
	if free >= least {
		return nil
	}
	return fmt.Errorf("the disk of %s has %.1f GB free, and with less than %.0f GB Kubernetes starts no pods (DiskPressure): free some "+
		"(make lab-delete LAB=… deletes a lab that is not needed), and run the command again", dir,
		float64(free)/(1<<30), float64(least)/(1<<30))
}

// writeKubeconfig copies the administrator's access, which names the address that only the node has.
func (s server) writeKubeconfig() error {
	config, err := os.ReadFile(s.inNode(nodeConf, "kubeconfig"))
	if err != nil {
		return fmt.Errorf("the cluster's certificates are not there yet: %w", err)
	}
	named := strings.NewReplacer(
		"https://127.0.0.1:", "https://"+s.node.Address().String()+":", "https://0.0.0.0:", "https://"+
			s.node.Address().String()+":",
		": default", ": "+s.lab.ID(),
	).Replace(string(config))
	if have, err := os.ReadFile(s.lab.Kubeconfig()); err == nil && string(have) == named {
		return nil
	}
	return os.WriteFile(s.lab.Kubeconfig(), []byte(named), 0o600)
}

func (s server) get(ctx context.Context, into any, args ...string) error {
	out, err := s.kubectl(ctx, append([]string{"--request-timeout", "5s", "get", "--output", "json"},
		args...)...)
	if err != nil {
		return fmt.Errorf("asking the cluster for its %s: %w", args[0], err)
	}
	return json.Unmarshal(out, into)
}

// kubectl returns what it writes to its standard output. Its error has what it says besides.
func (s server) kubectl(ctx context.Context, args ...string) ([]byte, error) {
	access := []string{"--kubeconfig", s.lab.Kubeconfig(), "--cache-dir", s.lab.Dir("run", "kubectl")}
	out, err := exec.CommandContext(ctx, s.inNode(nodeBin, "kubectl"), append(access, args...)...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}

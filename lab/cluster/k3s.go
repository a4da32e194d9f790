package cluster

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"time"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// Networks inside the cluster: k3s's defaults. No other machine has a route to them.
const (
	podNetwork    = "10.42.0.0/16"
	firstPods     = "10.42.0.0/24"
	services      = "10.43.0.0/16"
	clusterDNS    = "10.43.0.10"
	clusterDomain = "cluster.local"
)

// Addresses returns the networks and domains of labs and their clusters, in the format of NO_PROXY.
func Addresses() []string {
	return []string{layout.Range.String(), podNetwork, services, ".svc", "." + clusterDomain}
}

// Paths as the node sees them. Its /var/lib is the node's own directory "lib".
const (
	dataDir  = "/var/lib/rancher/k3s"
	nodeBin  = "/var/lib/stateful-k3s/bin"
	nodeConf = "/var/lib/stateful-k3s"
)

// server is the node that runs the control plane.
type server struct {
	lab      layout.Lab
	access   access
	node     layout.Node
	binaries tools.Binaries
	// manifests is the folder of k3s's own manifests.
	manifests string
}

func (s server) daemon() daemon {
	address := s.node.Address().String()
	return daemon{
		Lab: s.lab.Name, Name: s.node.Name(), Log: s.lab.Dir("log", s.node.Name()+".log"),
		Cgroup: s.lab.ID() + "/" + s.node.ID(), NetNS: s.node.ID(), NodeDir: s.node.Dir(), Grace: 10 * time.Second,
		Env: []string{"PATH=" + nodeBin + ":" + systemPath},
		Args: []string{
			nodeBin + "/k3s", "server",
			"--data-dir", dataDir,
			"--node-name", s.node.Name(),
			"--node-ip", address, "--advertise-address", address, "--tls-san", address,
			"--cluster-cidr", podNetwork, "--cluster-dns", clusterDNS, "--cluster-domain", clusterDomain,
			"--flannel-backend", "none", "--egress-selector-mode", "disabled", "--disable-helm-controller",
			"--disable", "servicelb", "--disable", "traefik", "--disable", "metrics-server", "--disable", "runtimes",
			"--disable", "local-storage",
			"--pause-image", "docker.io/" + images.Pause,
			"--private-registry", nodeConf + "/registries.yaml",
			"--resolv-conf", "/etc/resolv.conf",
			"--write-kubeconfig", nodeConf + "/kubeconfig", "--write-kubeconfig-mode", "600",
		},
	}
}

// start starts k3s and its way to the internet. It leaves running ones alone.
func (s server) start(ctx context.Context) (started bool, err error) {
	d, files, err := s.describe()
	if err != nil {
		return false, fmt.Errorf("reading k3s's manifests: %w", err)
	}
	if d.running() {
		if err := checkFirewall(ctx, s.lab, s.node); err != nil {
			return false, err
		}
		return false, startOutbound(ctx, s.lab, s.node)
	}
	for _, old := range []daemon{d, outbound(s.lab, s.node)} {
		if err := old.stop(ctx); err != nil {
			return false, err
		}
	}
	// The addresses of pods are gone with their network namespaces.
	if err := os.RemoveAll(s.node.Dir("lib", "cni")); err != nil {
		return false, err
	}
	if err := s.writeFiles(files); err != nil {
		return false, fmt.Errorf("writing the files of node %s: %w", s.node.Name(), err)
	}
	if err := connectNode(ctx, s.lab, s.node); err != nil {
		return false, fmt.Errorf("connecting node %s: %w", s.node.Name(), err)
	}
	if err := checkFirewall(ctx, s.lab, s.node); err != nil {
		return false, err
	}
	if err := startOutbound(ctx, s.lab, s.node); err != nil {
		return false, err
	}
	return d.start(ctx)
}

// describe returns the daemon with the files that it starts with. Other programs or files replace a running
// one.
func (s server) describe() (d daemon, files map[string]string, err error) {
	if files, err = s.files(); err != nil {
		return daemon{}, nil, err
	}
	d = s.daemon()
	d.Inputs = fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, s.programs(), files))) // fmt sorts maps
	return d, files, nil
}

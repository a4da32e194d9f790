package cluster

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// Networks inside the cluster: k3s's defaults. No other machine has a route to them.
const (
	podNetwork    = "10.42.0.0/16"
	services      = "10.43.0.0/16"
	clusterDNS    = "10.43.0.10"
	clusterDomain = "cluster.local"
)

// podsOf returns the part of the pod network that a node has.
func podsOf(node layout.Node) string { return fmt.Sprintf("10.42.%d.0/24", node.Index()) }

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

// k3s is k3s on a node: the server on the first one, an agent on each other one.
type k3s struct {
	lab      layout.Lab
	access   access
	node     layout.Node
	binaries tools.Binaries
	// manifests is the folder of k3s's own manifests.
	manifests string
}

// server is k3s on the first node, which answers for the cluster.
type server struct{ k3s }

func newServer(lab layout.Lab) server { return server{k3s{lab: lab, node: lab.Nodes()[0]}} }

func (k k3s) daemon() daemon {
	return daemon{
		Lab: k.lab.Name, Name: k.node.Name(), Log: k.lab.Dir("log", k.node.Name()+".log"),
		Cgroup: k.lab.ID() + "/" + k.node.ID(), NetNS: k.node.ID(), NodeDir: k.node.Dir(), Grace: 10 * time.Second,
		Env:  []string{"PATH=" + nodeBin + ":" + systemPath},
		Args: append([]string{nodeBin + "/k3s"}, k.args()...),
	}
}

func (k k3s) args() []string {
	address := k.node.Address().String()
	common := []string{
		"--data-dir", dataDir,
		"--node-name", k.node.Name(),
		"--node-ip", address,
		"--pause-image", "docker.io/" + images.Pause,
		"--private-registry", nodeConf + "/registries.yaml",
		"--resolv-conf", "/etc/resolv.conf",
	}
	if !k.node.IsServer() {
		return slices.Concat([]string{"agent", "--server", "https://" + apiAddress(k.lab),
			"--token-file", nodeConf + "/token"}, common)
	}
	server := []string{
		"--advertise-address", address, "--tls-san", address,
		"--cluster-cidr", podNetwork, "--cluster-dns", clusterDNS, "--cluster-domain", clusterDomain,
		"--flannel-backend", "none", "--egress-selector-mode", "disabled", "--disable-helm-controller",
		"--disable", "servicelb", "--disable", "traefik", "--disable", "metrics-server", "--disable", "runtimes",
		"--disable", "local-storage",
		"--write-kubeconfig", nodeConf + "/kubeconfig", "--write-kubeconfig-mode", "600",
	}
	if len(k.lab.Nodes()) > 1 {
		// After so long without a sign of a node, its pods get no more requests. The default is 50 seconds.
		server = append(server, "--kube-controller-manager-arg=node-monitor-grace-period=20s")
	}
	return slices.Concat([]string{"server"}, common, server)
}

// apiAddress returns the address of the cluster's API.
func apiAddress(lab layout.Lab) string { return lab.Nodes()[0].Address().String() + ":6443" }

// start starts k3s and the node's way to the internet. It leaves running ones alone.
func (k k3s) start(ctx context.Context) (started bool, err error) {
	d, files, err := k.describe()
	if err != nil {
		return false, fmt.Errorf("making the files of node %s: %w", k.node.Name(), err)
	}
	if d.running() {
		if err := routePods(ctx, k.lab, k.node); err != nil { // to nodes that are new
			return false, err
		}
		if err := checkFirewall(ctx, k.lab, k.node); err != nil {
			return false, err
		}
		return false, startOutbound(ctx, k.lab, k.node)
	}
	for _, old := range []daemon{d, outbound(k.lab, k.node)} {
		if err := old.stop(ctx); err != nil {
			return false, err
		}
	}
	// The addresses of pods are gone with their network namespaces.
	if err := os.RemoveAll(k.node.Dir("lib", "cni")); err != nil {
		return false, err
	}
	if err := k.writeFiles(files); err != nil {
		return false, fmt.Errorf("writing the files of node %s: %w", k.node.Name(), err)
	}
	if err := connectNode(ctx, k.lab, k.node); err != nil {
		return false, fmt.Errorf("connecting node %s: %w", k.node.Name(), err)
	}
	if err := checkFirewall(ctx, k.lab, k.node); err != nil {
		return false, err
	}
	if err := startOutbound(ctx, k.lab, k.node); err != nil {
		return false, err
	}
	return d.start(ctx)
}

// describe returns the daemon with the files that it starts with. Other programs or files replace a running
// one.
func (k k3s) describe() (d daemon, files map[string]string, err error) {
	if files, err = k.files(); err != nil {
		return daemon{}, nil, err
	}
	d = k.daemon()
	d.Inputs = fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, k.programs(), files))) // fmt sorts maps
	return d, files, nil
}

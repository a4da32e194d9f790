package cluster

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// Networks inside the cluster: k3s's defaults, on which no other machine has a route.
const (
	podNetwork    = "10.42.0.0/16"
	firstPods     = "10.42.0.0/24"
	services      = "10.43.0.0/16"
	clusterDNS    = "10.43.0.10"
	clusterDomain = "cluster.local"
)

// Addresses are those of the lab and within its cluster: networks, and domains with a dot in front.
func Addresses() []string {
	return []string{layout.Range.String(), podNetwork, services, ".svc", "." + clusterDomain}
}

// Paths as the node sees them; its /var/lib is the node's own directory "lib".
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
	// manifests are k3s's own, from the module it is compiled from.
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

// start writes the node's files, and starts k3s and its way out; it leaves running ones alone.
func (s server) start(ctx context.Context) (started bool, err error) {
	d, files, err := s.describe()
	if err != nil {
		return false, fmt.Errorf("reading k3s's manifests: %w", err)
	}
	if d.running() {
		if err := meet(ctx, s.lab, s.node); err != nil {
			return false, err
		}
		return false, outboundUp(ctx, s.lab, s.node)
	}
	for _, old := range []daemon{d, outbound(s.lab, s.node)} {
		if err := old.stop(ctx); err != nil {
			return false, err
		}
	}
	// Addresses that were given to pods went with their network namespaces.
	if err := os.RemoveAll(s.node.Dir("lib", "cni")); err != nil {
		return false, err
	}
	if err := s.writeFiles(files); err != nil {
		return false, fmt.Errorf("writing the files of node %s: %w", s.node.Name(), err)
	}
	if err := nodeUp(ctx, s.lab, s.node); err != nil {
		return false, fmt.Errorf("connecting node %s: %w", s.node.Name(), err)
	}
	if err := meet(ctx, s.lab, s.node); err != nil {
		return false, err
	}
	if err := outboundUp(ctx, s.lab, s.node); err != nil {
		return false, err
	}
	return d.start(ctx)
}

// describe is the daemon with the files that it is started with. Other programs or files make it another one.
func (s server) describe() (d daemon, files map[string]string, err error) {
	if files, err = s.files(); err != nil {
		return daemon{}, nil, err
	}
	d = s.daemon()
	d.Inputs = fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, s.programs(), files))) // fmt sorts maps
	return d, files, nil
}

// programs says where those lie that the node calls by these names.
func (s server) programs() map[string]string {
	k3s := s.binaries["k3s"]
	return map[string]string{
		"k3s": k3s, "containerd": k3s, "kubectl": k3s, "crictl": k3s, "ctr": k3s,
		"containerd-shim-runc-v2": s.binaries["containerd-shim-runc-v2"], "runc": s.binaries["runc"],
	}
}

// files are the node's own, by their paths on this machine.
func (s server) files() (map[string]string, error) {
	files := map[string]string{
		s.node.Dir("etc", "resolv.conf"):                              "nameserver " + resolver + "\n",
		s.inNode(nodeConf, "registries.yaml"):                         s.access.registries(),
		s.inNode(nodeConf, registryCertificate):                       string(s.access.certificate),
		s.inNode(nodeConf, "cni/10-lab.conflist"):                     cni,
		s.inNode(dataDir, "agent/etc/containerd/config-v3.toml.tmpl"): containerd + s.access.containerd(),
		s.inNode(dataDir, "agent/etc/kubelet.conf.d/10-lab.conf"):     kubelet,
	}
	for from, to := range manifests {
		manifest, err := os.ReadFile(filepath.Join(s.manifests, from))
		if err != nil {
			return nil, err
		}
		files[s.inNode(dataDir, "server/manifests", to)] = manifestVariables.Replace(string(manifest))
	}
	files[s.inNode(dataDir, "server/manifests/lab-traefik.yaml")] = s.traefik()
	return files, nil
}

func (s server) writeFiles(files map[string]string) error {
	for _, dir := range []string{s.node.Dir("etc"), s.node.Dir("etc.work"), s.node.Dir("log"),
		s.inNode("kubelet"), s.inNode(nodeBin)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for name, target := range s.programs() {
		link := s.inNode(nodeBin, name)
		if err := os.Remove(link); err != nil && !os.IsNotExist(err) {
			return err
		}
		if err := os.Symlink(target, link); err != nil {
			return err
		}
	}
	for path, content := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// inNode says where on this machine a path below the node's /var/lib lies.
func (s server) inNode(parts ...string) string {
	return s.node.Dir("lib", strings.TrimPrefix(filepath.Join(parts...), "/var/lib"))
}

// traefikManifest has a name of its own too: the one that a released k3s brings is for Helm, and disabled.
//
//go:embed traefik.yaml
var traefikManifest string

// traefik has Ingresses served at the node's address.
func (s server) traefik() string {
	return strings.NewReplacer(
		"%{TRAEFIK_IMAGE}%", images.Traefik,
		"%{INGRESS_ADDRESS}%", s.lab.IngressAddress().String(),
	).Replace(traefikManifest)
}

// manifests are those of k3s's own that a lab uses, which a compiled k3s lacks. A
// released k3s writes the same files itself, but with another image for local
// storage: that one is disabled, which goes by the file's name.
var manifests = map[string]string{
	"coredns.yaml": "coredns.yaml", "ccm.yaml": "ccm.yaml", "rolebindings.yaml": "rolebindings.yaml",
	"local-storage.yaml": "lab-storage.yaml",
}

// manifestVariables fill in k3s's manifests as k3s does, but for the images of local storage, which are those
// that the lab has.
var manifestVariables = strings.NewReplacer(
	"%{SYSTEM_DEFAULT_REGISTRY}%", "",
	"%{CLUSTER_DOMAIN}%", clusterDomain,
	"%{CLUSTER_DNS}%", clusterDNS,
	"%{CLUSTER_DNS_LIST}%", "["+clusterDNS+"]",
	"%{CLUSTER_DNS_IPFAMILYPOLICY}%", "SingleStack",
	"%{DEFAULT_LOCAL_STORAGE_PATH}%", dataDir+"/storage",
	"rancher/local-path-provisioner:v0.0.32", images.LocalPathProvisioner,
	"rancher/mirrored-library-busybox:1.37.0", images.Busybox,
)

// One node needs no overlay network: Debian's bridge plugin connects its pods.
const cni = `{
  "cniVersion": "1.0.0",
  "name": "lab",
  "plugins": [
    {
      "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
      "ipam": {"type": "host-local", "ranges": [[{"subnet": "` + firstPods +
	`"}]], "routes": [{"dst": "0.0.0.0/0"}]}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

// containerd's settings as k3s would write them, with two more: where Debian has
// the CNI plugins, and that a machine without CAP_SYS_RESOURCE must not raise the
// priority of containers.
const containerd = `version = 3
root = "` + dataDir + `/agent/containerd"
state = "/run/k3s/containerd"

[grpc]
  address = "/run/k3s/containerd/containerd.sock"

[plugins.'io.containerd.grpc.v1.cri']
  stream_server_address = "127.0.0.1"
  stream_server_port = "10010"

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "` + nodeConf + `/cni"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  use_local_image_pull = true

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "docker.io/` + images.Pause + `"

[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = "` + dataDir + `/agent/etc/containerd/certs.d"
`

// The kubelet would take a twentieth of the disk for too little room, which is a lot on a large one, and see
// only after five minutes that there is more again.
const kubelet = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
evictionHard: {nodefs.available: 1Gi, imagefs.available: 1Gi} # leastFree
evictionMinimumReclaim: {nodefs.available: 500Mi, imagefs.available: 500Mi}
evictionPressureTransitionPeriod: 30s
`

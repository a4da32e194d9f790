package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/files"
)

// programs maps the names of the node's programs to their paths on this machine.
func (k k3s) programs() map[string]string {
	k3s := k.binaries["k3s"]
	return map[string]string{
		"k3s": k3s, "containerd": k3s, "kubectl": k3s, "crictl": k3s, "ctr": k3s,
		"containerd-shim-runc-v2": k.binaries["containerd-shim-runc-v2"], "runc": k.binaries["runc"],
	}
}

// manifests are k3s's own manifests that a lab uses, with the names that they get. A compiled k3s lacks them.
// A released k3s writes them too, but local storage with another image: that file is disabled by its name.
var manifests = map[string]string{
	"coredns.yaml": "coredns.yaml", "ccm.yaml": "ccm.yaml", "rolebindings.yaml": "rolebindings.yaml",
	"local-storage.yaml": "lab-storage.yaml",
}

// manifestVariables fills in k3s's manifests as k3s does, but with the lab's images for local storage.
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

// The provisioner stays with the control plane, without which no pod gets a volume anyway. On another node it
// would be lost with that.
const (
	onLinux  = "        kubernetes.io/os: linux\n"
	onServer = onLinux + "        node-role.kubernetes.io/control-plane: \"true\"\n"
)

// files returns the contents of the node's files, by their paths on this machine.
func (k k3s) files() (map[string]string, error) {
	many := len(k.lab.Nodes()) > 1
	data := map[string]any{
		"DataDir": dataDir, "ConfDir": nodeConf, "Pods": podsOf(k.node), "Many": many,
		"Registry": k.lab.Registry(), "User": registryUser, "Password": k.access.password,
		"PauseImage": images.Pause, "TraefikImage": images.Traefik, "Ingress": k.lab.IngressAddress(),
	}
	files := map[string]string{
		k.node.Dir("etc", "resolv.conf"):                              "nameserver " + resolver + "\n",
		k.inNode(nodeConf, "registry.crt"):                            string(k.access.certificate),
		k.inNode(nodeConf, "registries.yaml"):                         render("registries.yaml", data),
		k.inNode(nodeConf, "cni/10-lab.conflist"):                     render("cni.conflist", data),
		k.inNode(dataDir, "agent/etc/containerd/config-v3.toml.tmpl"): render("containerd.toml", data),
		k.inNode(dataDir, "agent/etc/kubelet.conf.d/10-lab.conf"):     render("kubelet.yaml", data),
	}
	if !k.node.IsServer() {
		token, err := os.ReadFile(newServer(k.lab).inNode(dataDir, "server/token"))
		if err != nil {
			return nil, fmt.Errorf("an agent joins with the token of the server, which has none yet: %w", err)
		}
		files[k.inNode(nodeConf, "token")] = string(token)
		return files, nil
	}
	files[k.inNode(dataDir, "server/manifests/lab-traefik.yaml")] = render("traefik.yaml", data)
	for from, to := range manifests {
		manifest, err := os.ReadFile(filepath.Join(k.manifests, from))
		if err != nil {
			return nil, err
		}
		content := manifestVariables.Replace(string(manifest))
		if many && from == "local-storage.yaml" {
			content = strings.Replace(content, onLinux, onServer, 1)
		}
		files[k.inNode(dataDir, "server/manifests", to)] = content
	}
	return files, nil
}

func (k k3s) writeFiles(contents map[string]string) error {
	for _, dir := range []string{
		k.node.Dir("etc"), k.node.Dir("etc.work"), k.node.Dir("log"), k.inNode("kubelet"),
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for name, target := range k.programs() {
		if err := files.Link(target, k.inNode(nodeBin, name)); err != nil {
			return err
		}
	}
	for path, content := range contents {
		if err := files.Write(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// inNode returns the path on this machine of a path below the node's /var/lib.
func (k k3s) inNode(parts ...string) string {
	return k.node.Dir("lib", strings.TrimPrefix(filepath.Join(parts...), "/var/lib"))
}

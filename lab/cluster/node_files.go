package cluster

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/files"
)

// programs maps the names of the node's programs to their paths on this machine.
func (s server) programs() map[string]string {
	k3s := s.binaries["k3s"]
	return map[string]string{
		"k3s": k3s, "containerd": k3s, "kubectl": k3s, "crictl": k3s, "ctr": k3s,
		"containerd-shim-runc-v2": s.binaries["containerd-shim-runc-v2"], "runc": s.binaries["runc"],
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

// files returns the contents of the node's files, by their paths on this machine.
func (s server) files() (map[string]string, error) {
	data := map[string]any{
		"DataDir": dataDir, "ConfDir": nodeConf, "Pods": firstPods,
		"Registry": s.lab.Registry(), "User": registryUser, "Password": s.access.password,
		"PauseImage": images.Pause, "TraefikImage": images.Traefik, "Ingress": s.lab.IngressAddress(),
	}
	files := map[string]string{
		s.node.Dir("etc", "resolv.conf"):                              "nameserver " + resolver + "\n",
		s.inNode(nodeConf, "registry.crt"):                            string(s.access.certificate),
		s.inNode(nodeConf, "registries.yaml"):                         render("registries.yaml", data),
		s.inNode(nodeConf, "cni/10-lab.conflist"):                     render("cni.conflist", data),
		s.inNode(dataDir, "agent/etc/containerd/config-v3.toml.tmpl"): render("containerd.toml", data),
		s.inNode(dataDir, "agent/etc/kubelet.conf.d/10-lab.conf"):     render("kubelet.yaml", data),
		s.inNode(dataDir, "server/manifests/lab-traefik.yaml"):        render("traefik.yaml", data),
	}
	for from, to := range manifests {
		manifest, err := os.ReadFile(filepath.Join(s.manifests, from))
		if err != nil {
			return nil, err
		}
		files[s.inNode(dataDir, "server/manifests", to)] = manifestVariables.Replace(string(manifest))
	}
	return files, nil
}

func (s server) writeFiles(contents map[string]string) error {
	for _, dir := range []string{
		s.node.Dir("etc"), s.node.Dir("etc.work"), s.node.Dir("log"), s.inNode("kubelet"),
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for name, target := range s.programs() {
		if err := files.Link(target, s.inNode(nodeBin, name)); err != nil {
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
func (s server) inNode(parts ...string) string {
	return s.node.Dir("lib", strings.TrimPrefix(filepath.Join(parts...), "/var/lib"))
}

package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

func TestNoVariableOfAManifestIsLeft(t *testing.T) {
	lab, err := layout.New("dev", t.TempDir(), t.TempDir())
	require.NoError(t, err)
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	lab, err = lab.InHome()
	require.NoError(t, err)
	kubernetes := filepath.Join("..", "tools", "kubernetes")
	modules, err := tools.ModuleDir(t.Context(), kubernetes, "github.com/k3s-io/k3s")
	require.NoError(t, err)
	s := k3s{lab: lab, node: lab.Nodes()[0],
		binaries:  tools.Binaries{"k3s": "/k3s", "runc": "/runc", "containerd-shim-runc-v2": "/shim"},
		manifests: filepath.Join(modules, "manifests")}
	files, err := s.files()
	require.NoError(t, err)
	require.NoError(t, s.writeFiles(files))
	mirrors := files[s.inNode(nodeConf, "registries.yaml")]
	for _, registry := range []string{"docker.io", "ghcr.io"} {
		assert.Contains(t, mirrors, "  "+registry+`: {endpoint: ["https://`+lab.Registry()+`"]}`+"\n")
	}

	contents := map[string]string{}
	written, err := filepath.Glob(s.inNode(dataDir, "server/manifests/*.yaml"))
	require.NoError(t, err)
	for _, path := range written {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.NotRegexp(t, "%{|{{", string(content), path)
		contents[filepath.Base(path)] = string(content)
	}
	require.Len(t, contents, 5)
	assert.Contains(t, contents["lab-storage.yaml"], `image: "rancher/local-path-provisioner:v0.0.37"`)
	assert.Contains(t, contents["lab-storage.yaml"], `image: "busybox:1.35"`)
	assert.Contains(t, contents["lab-traefik.yaml"], `image: "traefik:v3.6.12"`)
	assert.Contains(t, contents["lab-traefik.yaml"], "kubernetesingress.ingressendpoint.ip=10.231.188.10\n")
}

func TestAnotherProgramOrManifestMakesAnotherNode(t *testing.T) {
	lab, err := layout.New("dev", t.TempDir(), t.TempDir())
	require.NoError(t, err)
	s := k3s{lab: lab, node: lab.Nodes()[0], binaries: tools.Binaries{"runc": "/runc"},
		manifests: t.TempDir()}
	write := func(content string) {
		for name := range manifests {
			require.NoError(t, os.WriteFile(filepath.Join(s.manifests, name), []byte(content), 0o644))
		}
	}
	describe := func() string {
		d, _, err := s.describe()
		require.NoError(t, err)
		return d.spec()
	}
	write("kind: Deployment")
	before := describe()
	assert.Equal(t, before, describe())
	s.binaries["runc"] = "/runc-2"
	assert.NotEqual(t, before, describe())
	s.binaries["runc"] = "/runc"
	write("kind: DaemonSet")
	assert.NotEqual(t, before, describe())
}

func TestTheKubeconfigNamesTheNodesOwnAddress(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	lab, err := layout.New("dev", t.TempDir(), t.TempDir())
	require.NoError(t, err)
	lab, err = lab.InHome()
	require.NoError(t, err)
	s := newServer(lab)
	require.ErrorContains(t, s.writeKubeconfig(), "the cluster's certificates are not there yet")

	from := s.inNode(nodeConf, "kubeconfig")
	require.NoError(t, os.MkdirAll(filepath.Dir(from), 0o755))
	require.NoError(t, os.WriteFile(from, []byte("server: https://127.0.0.1:6443\ncurrent-context: default\n"),
		0o600))
	require.NoError(t, s.writeKubeconfig())
	written, err := os.ReadFile(lab.Kubeconfig())
	require.NoError(t, err)
	assert.Equal(t, "server: https://10.231.188.10:6443\ncurrent-context: sk3s-dev\n", string(written))
}

// nodesOf returns k3s on so many nodes of a lab whose server has started before.
func nodesOf(t *testing.T, lab layout.Lab, count int) []k3s {
	t.Helper()
	lab, err := lab.WithNodes(count)
	require.NoError(t, err)
	modules, err := tools.ModuleDir(t.Context(), filepath.Join("..", "tools", "kubernetes"),
		"github.com/k3s-io/k3s")
	require.NoError(t, err)
	token := newServer(lab).inNode(dataDir, "server/token")
	require.NoError(t, os.MkdirAll(filepath.Dir(token), 0o755))
	require.NoError(t, os.WriteFile(token, []byte("K10abc::server:secret\n"), 0o600))
	var all []k3s
	for _, node := range lab.Nodes() {
		all = append(all, k3s{lab: lab, node: node, manifests: filepath.Join(modules, "manifests")})
	}
	return all
}

func TestOnlyWithSeveralNodesSomethingIsTiedToTheFirst(t *testing.T) {
	const pin = `node-role.kubernetes.io/control-plane: "true"`
	for count, pins := range map[int]int{1: 0, 3: 1} {
		lab, _ := newLab(t)
		server := nodesOf(t, lab, count)[0]
		files, err := server.files()
		require.NoError(t, err)
		for _, name := range []string{"lab-traefik.yaml", "lab-storage.yaml"} {
			manifest := files[server.inNode(dataDir, "server/manifests", name)]
			assert.Equal(t, pins, strings.Count(manifest, pin), name)
		}
		network := files[server.inNode(nodeConf, "cni/10-lab.conflist")]
		assert.Equal(t, count == 1, strings.Contains(network, "ipMasq"),
			"the policies of other nodes must see the addresses of pods")
		assert.Equal(t, count > 1, strings.Contains(server.daemon().spec(), "node-monitor-grace-period"))
	}
}

func TestAgentsJoinTheServer(t *testing.T) {
	lab, _ := newLab(t)
	agent := nodesOf(t, lab, 3)[2]
	files, err := agent.files()
	require.NoError(t, err)
	assert.Equal(t, "K10abc::server:secret\n", files[agent.inNode(nodeConf, "token")])
	assert.Contains(t, files[agent.inNode(nodeConf, "cni/10-lab.conflist")], `"subnet": "10.42.2.0/24"`)
	for path := range files {
		assert.NotContains(t, path, "manifests")
	}
	args := strings.Join(agent.daemon().Args, " ")
	assert.Contains(t, args, "k3s agent --server https://10.231.188.10:6443 --token-file ")
	assert.Contains(t, args, " --node-name dev-2 --node-ip 10.231.188.12 ")
}

func TestAnAgentCannotJoinBeforeTheServerHasStarted(t *testing.T) {
	lab, _ := newLab(t)
	agent := nodesOf(t, lab, 2)[1]
	require.NoError(t, os.Remove(newServer(agent.lab).inNode(dataDir, "server/token")))
	_, _, err := agent.describe()
	assert.ErrorContains(t, err, "an agent joins with the token of the server, which has none yet")
}

func TestANewNodeRestartsNoOther(t *testing.T) {
	lab, _ := newLab(t)
	three, four := nodesOf(t, lab, 3), nodesOf(t, lab, 4)
	for i := range three {
		was, _, err := three[i].describe()
		require.NoError(t, err)
		is, _, err := four[i].describe()
		require.NoError(t, err)
		assert.Equal(t, was.spec(), is.spec())
	}
}

package cluster

import (
	"os"
	"path/filepath"
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
	k3s, err := tools.ModuleDir(t.Context(), filepath.Join("..", "tools", "kubernetes"), "github.com/k3s-io/k3s")
	require.NoError(t, err)
	s := server{lab: lab, node: lab.Nodes()[0],
		binaries:  tools.Binaries{"k3s": "/k3s", "runc": "/runc", "containerd-shim-runc-v2": "/shim"},
		manifests: filepath.Join(k3s, "manifests")}
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
	s := server{lab: lab, node: lab.Nodes()[0], binaries: tools.Binaries{"runc": "/runc"},
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
	s := server{lab: lab, node: lab.Nodes()[0]}
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

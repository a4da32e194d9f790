package cluster

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

var since = time.Date(2026, 11, 22, 12, 0, 0, 500, time.UTC)

func TestANodeIsReadyWhenItSaidSoSinceItWasStarted(t *testing.T) {
	for _, c := range []struct{ node, want string }{
		{`{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-11-22T12:00:00Z"}`, ""},
		{`{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-11-22T11:59:59Z", "message": "kubelet is posting"}`, "node dev-0 is not ready: kubelet is posting"},
		{`{"type": "Ready", "status": "False", "lastHeartbeatTime": "2026-11-22T12:00:09Z", "message": "no network"}`, "node dev-0 is not ready: no network"},
		{`{"type": "MemoryPressure", "status": "True", "lastHeartbeatTime": "2026-11-22T12:00:09Z"}`, "node dev-0 has not joined"},
	} {
		var nodes nodeList
		require.NoError(t, json.Unmarshal([]byte(`{"items": [{"metadata": {"name": "dev-0"}, "status": {"conditions": [`+c.node+`]}}]}`), &nodes))
		checkError(t, c.want, nodes.ready("dev-0", since))
	}
}

func TestAnAddOnIsReadyWhenAPodOfItRunsSinceThen(t *testing.T) {
	for _, c := range []struct{ container, want string }{
		{`{"ready": true, "state": {"running": {"startedAt": "2026-11-22T12:00:00Z"}}}`, ""},
		{`{"ready": true, "state": {"running": {"startedAt": "2026-11-22T11:00:00Z"}}}`, "coredns in kube-system is not ready: not started"},
		{`{"ready": false, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}`, "coredns in kube-system is not ready: ImagePullBackOff not found"},
	} {
		var pods podList
		require.NoError(t, json.Unmarshal([]byte(`{"items": [{"metadata": {"name": "coredns-1"}, "status": {"containerStatuses": [`+c.container+`]}}]}`), &pods))
		checkError(t, c.want, pods.ready(since, "coredns"))
	}
	checkError(t, "coredns in kube-system is not ready: no pod yet", podList{}.ready(since, "coredns"))
}

func checkError(t *testing.T, want string, err error) {
	t.Helper()
	if want == "" {
		assert.NoError(t, err)
		return
	}
	assert.EqualError(t, err, want)
}

func TestNoVariableOfAManifestIsLeft(t *testing.T) {
	lab, err := layout.New("dev", t.TempDir(), t.TempDir())
	require.NoError(t, err)
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	lab, err = lab.InHome()
	require.NoError(t, err)
	k3s, err := tools.ModuleDir(t.Context(), filepath.Join("..", "tools", "k3s"), "github.com/k3s-io/k3s")
	require.NoError(t, err)
	s := server{lab: lab, node: lab.Nodes()[0], binaries: tools.Binaries{"k3s": "/k3s", "runc": "/runc", "containerd-shim-runc-v2": "/shim"}, manifests: filepath.Join(k3s, "manifests")}
	require.NoError(t, s.writeFiles())

	written, err := filepath.Glob(s.inNode(dataDir, "server/manifests/*.yaml"))
	require.NoError(t, err)
	require.Len(t, written, 4)
	for _, path := range written {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.NotContains(t, string(content), "%{", path)
	}
	storage, err := os.ReadFile(s.inNode(dataDir, "server/manifests/local-storage.yaml"))
	require.NoError(t, err)
	assert.Contains(t, string(storage), `image: "docker.io/rancher/local-path-provisioner:v0.0.30"`)
	assert.Contains(t, string(storage), `image: "docker.io/busybox:1.35"`)
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
	require.NoError(t, os.WriteFile(from, []byte("server: https://127.0.0.1:6443\ncurrent-context: default\n"), 0o600))
	require.NoError(t, s.writeKubeconfig())
	written, err := os.ReadFile(lab.Kubeconfig())
	require.NoError(t, err)
	assert.Equal(t, "server: https://10.231.188.10:6443\ncurrent-context: sk3s-dev\n", string(written))
}

package cluster

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var since = time.Date(2026, 11, 22, 12, 0, 0, 500, time.UTC)

func TestANodeIsReadyWhenItSaidSoSinceItWasStarted(t *testing.T) {
	for _, c := range []struct{ node, want string }{
		{`{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-11-22T12:00:00Z"}`, ""},
		{`{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-11-22T11:59:59Z", "message": "kubelet is posting"}`, "node dev-0 is not ready: kubelet is posting"},
		{`{"type": "Ready", "status": "False", "lastHeartbeatTime": "2026-11-22T12:00:09Z", "message": "no network"}`, "node dev-0 is not ready: no network"},
		{`{"type": "MemoryPressure", "status": "True", "lastHeartbeatTime": "2026-11-22T12:00:09Z"}`,
			"node dev-0 has not joined"},
	} {
		var nodes nodeList
		require.NoError(t, json.Unmarshal(
			[]byte(`{"items": [{"metadata": {"name": "dev-0"}, "status": {"conditions": [`+c.node+`]}}]}`), &nodes))
		checkError(t, c.want, nodes.readySince("dev-0", since))
	}
}

func TestANodeThatRunsOutOfSomethingIsTold(t *testing.T) {
	var nodes nodeList
	require.NoError(t, json.Unmarshal(
		[]byte(`{"items": [{"metadata": {"name": "dev-0"}, "status": {"conditions": [
		{"type": "MemoryPressure", "status": "False"}, {"type": "DiskPressure", "status": "True", "message": "kubelet has disk pressure"}]}}]}`), &nodes))
	assert.Equal(t, []string{"DiskPressure: kubelet has disk pressure"}, nodes.pressures("dev-0"))
}

func TestAWaitNamesTheDiskThatIsFull(t *testing.T) {
	lab, _ := newAccess(t)
	require.NoError(t, os.MkdirAll(lab.Dir(), 0o700))
	s := server{lab: lab, node: lab.Nodes()[0]}
	waits := errors.New("traefik in kube-system is not ready: no pod yet")
	var nodes nodeList
	checkError(t, waits.Error(), s.because(waits, nodes, 0))
	require.NoError(t, json.Unmarshal(
		[]byte(`{"items": [{"metadata": {"name": "dev-0"}, "status": {"conditions": [
		{"type": "DiskPressure", "status": "True", "message": "kubelet has disk pressure"}]}}]}`), &nodes))
	checkError(t, "node dev-0 has DiskPressure: kubelet has disk pressure: "+waits.Error(),
		s.because(waits, nodes, 0))

	err := s.because(waits, nodes, 1<<60)
	require.ErrorAs(t, err, &fatal{}, "no waiting mends that")
	assert.ErrorContains(t, err, "the disk of "+lab.Dir()+" has ")
	assert.ErrorContains(t, err, " GB free, and with less than 1073741824 GB Kubernetes starts no pods (DiskPressure): free some")
}

func TestAnAddOnIsReadyWhenAPodOfItRunsSinceThen(t *testing.T) {
	for _, c := range []struct{ container, want string }{
		{`{"ready": true, "state": {"running": {"startedAt": "2026-11-22T12:00:00Z"}}}`, ""},
		{`{"ready": true, "state": {"running": {"startedAt": "2026-11-22T11:00:00Z"}}}`,
			"coredns in kube-system is not ready: not started"},
		{`{"ready": false, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}`,
			"coredns in kube-system is not ready: ImagePullBackOff not found"},
	} {
		var pods podList
		require.NoError(t, json.Unmarshal(
			[]byte(`{"items": [{"metadata": {"name": "coredns-1"}, "status": {"containerStatuses": [`+c.container+
				`]}}]}`), &pods))
		checkError(t, c.want, pods.readySince(since, "coredns"))
	}
	checkError(t, "coredns in kube-system is not ready: no pod yet", podList{}.readySince(since, "coredns"))
}

func checkError(t *testing.T, want string, err error) {
	t.Helper()
	if want == "" {
		assert.NoError(t, err)
		return
	}
	assert.EqualError(t, err, want)
}

package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var since = time.Date(2026, 11, 22, 12, 0, 0, 500, time.UTC)

// nodesWith returns a node dev-0 with conditions in JSON.
func nodesWith(t *testing.T, conditions string) (nodes nodeList) {
	t.Helper()
	require.NoError(t, json.Unmarshal(
		[]byte(`{"items": [{"metadata": {"name": "dev-0"}, "status": {"conditions": [`+conditions+`]}}]}`), &nodes))
	return nodes
}

func TestANodeIsReadyIfItHasSaidSoSinceItsStart(t *testing.T) {
	for _, c := range []struct{ kind, status, at, want string }{
		{"Ready", "True", "12:00:00", ""},
		{"Ready", "True", "11:59:59", "node dev-0 is not ready: kubelet is posting"},
		{"Ready", "False", "12:00:09", "node dev-0 is not ready: kubelet is posting"},
		{"MemoryPressure", "True", "12:00:09", "node dev-0 has not joined"},
	} {
		nodes := nodesWith(t, fmt.Sprintf(`{"type": %q, "status": %q, "lastHeartbeatTime": "2026-11-22T%sZ",
			"message": "kubelet is posting"}`, c.kind, c.status, c.at))
		checkError(t, c.want, nodes.checkReady("dev-0", since))
	}
}

const diskPressure = `{"type": "DiskPressure", "status": "True", "message": "kubelet has disk pressure"}`

func TestPressureOnANodeIsReported(t *testing.T) {
	nodes := nodesWith(t, `{"type": "MemoryPressure", "status": "False"}, `+diskPressure)
	assert.Equal(t, []string{"DiskPressure: kubelet has disk pressure"}, nodes.pressures("dev-0"))
}

func TestAFullDiskIsReported(t *testing.T) {
	lab, _ := newLab(t)
	require.NoError(t, os.MkdirAll(lab.Dir(), 0o700))
	s := newServer(lab)
	waits := errors.New("traefik in kube-system is not ready: no pod yet")
	checkError(t, waits.Error(), s.explain(waits, nodeList{}, 0))
	nodes := nodesWith(t, diskPressure)
	checkError(t, "node dev-0 has DiskPressure: kubelet has disk pressure: "+waits.Error(),
		s.explain(waits, nodes, 0))

	err := s.explain(waits, nodes, 1<<60)
	require.ErrorAs(t, err, &fatal{}, "no waiting mends that")
	assert.ErrorContains(t, err, "the disk of "+lab.Dir()+" has ")
	assert.ErrorContains(t, err, " GB free, and with less than 1073741824 GB Kubernetes starts no pods (Disk")
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
			[]byte(`{"items": [{"metadata": {"name": "coredns-1"}, "spec": {"nodeName": "dev-0"},
				"status": {"containerStatuses": [`+c.container+`]}}]}`), &pods))
		checkError(t, c.want, pods.checkReady("coredns", map[string]time.Time{"dev-0": since}))
	}
	checkError(t, "coredns in kube-system is not ready: no pod yet", podList{}.checkReady("coredns", nil))
}

func TestAnAddOnOnANodeThatKeptRunningIsReady(t *testing.T) {
	var pods podList
	require.NoError(t, json.Unmarshal([]byte(`{"items": [{"metadata": {"name": "coredns-1"},
		"spec": {"nodeName": "dev-1"}, "status": {"containerStatuses": [
			{"ready": true, "state": {"running": {"startedAt": "2026-11-22T11:00:00Z"}}}]}}]}`), &pods))
	assert.NoError(t, pods.checkReady("coredns", map[string]time.Time{"dev-0": since}))
	assert.Error(t, pods.checkReady("coredns", map[string]time.Time{"dev-1": since}))
}

func checkError(t *testing.T, want string, err error) {
	t.Helper()
	if want == "" {
		assert.NoError(t, err)
		return
	}
	assert.EqualError(t, err, want)
}

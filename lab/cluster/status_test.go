package cluster

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

func TestStatusCountsPodsAndVolumes(t *testing.T) {
	const ofJob = `, "labels": {"batch.kubernetes.io/job-name": "backup"}`
	pod := func(namespace, name, labels, status string) string {
		return fmt.Sprintf(`{"metadata": {"namespace": %q, "name": %q%s}, "status": {%s}}`,
			namespace, name, labels, status)
	}
	waiting := func(name, reason, message string) string {
		return fmt.Sprintf(`[{"name": %q, "state": {"waiting": {"reason": %q, "message": %q}}}]`, name, reason,
			message)
	}
	var pods podList
	require.NoError(t, json.Unmarshal([]byte(`{"items": [`+strings.Join([]string{
		pod("exercises", "a", "", `"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]`),
		pod("exercises", "b", "", `"phase": "Running", "conditions": [{"type": "Initialized", "status": "True"},
			{"type": "Ready", "status": "False", "message": "containers with unready status: [app]"}]`),
		pod("exercises", "c", "", `"phase": "Pending", "containerStatuses": `+
			waiting("app", "ImagePullBackOff", "no such image")),
		pod("exercises", "d", "", `"phase": "Pending", "initContainerStatuses": `+
			waiting("init", "CrashLoopBackOff", "")+`, "containerStatuses": `+waiting("app", "PodInitializing", "")),
		pod("project", "e", "", `"phase": "Succeeded",
			"conditions": [{"type": "Ready", "status": "False", "message": "done"}]`),
		pod("project", "f", "", `"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory"`),
		pod("project", "g", ofJob, `"phase": "Failed"`),
		pod("project", "h", ofJob, `"phase": "Running"`),
		pod("project", "i", ofJob, `"phase": "Pending", "containerStatuses": `+
			waiting("backup", "ErrImagePull", "no such image")),
		pod("project", "j", ofJob, `"phase": "Pending", "conditions": [{"type": "Ready", "status": "False",
			"message": "containers with unready status: [backup]"}], "containerStatuses": `+
			waiting("backup", "ContainerCreating", "")),
		pod("project", "k", ofJob, `"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
			"message": "1 Insufficient memory"}]`),
	}, ",")+`]}`), &pods))
	var claims claimList
	require.NoError(t, json.Unmarshal([]byte(`{"items": [
		{"metadata": {"namespace": "exercises", "name": "data-0"}, "status": {"phase": "Bound"}},
		{"metadata": {"namespace": "exercises", "name": "data-1"}, "status": {"phase": "Pending"}},
		{"metadata": {"namespace": "storage", "name": "data"}, "status": {"phase": "Bound"}}
	]}`), &claims))

	var status Status
	status.addNamespaces(pods, claims)
	assert.Equal(t, Status{
		Lines: [][2]string{
			{"exercises", "1 of 4 pods ready, 2 volumes"},
			{"project", "0 of 2 pods ready, 0 volumes"},
			{"storage", "0 of 0 pods ready, 1 volumes"},
		},
		Faults: []string{
			"exercises/data-1: the claim is Pending",
			"exercises/b: containers with unready status: [app]",
			"exercises/c: app waits: ImagePullBackOff no such image",
			"exercises/d: init waits: CrashLoopBackOff",
			"project/i: backup waits: ErrImagePull no such image",
			"project/k: 1 Insufficient memory",
		},
	}, status)
}

func TestStatusShowsNodesIfThereAreSeveral(t *testing.T) {
	lab, err := layout.New("dev", t.TempDir(), t.TempDir())
	require.NoError(t, err)
	three, err := lab.WithNodes(3)
	require.NoError(t, err)
	const ready, silent = `[{"type": "Ready", "status": "True"}]`,
		`[{"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}]`
	var nodes nodeList
	require.NoError(t, json.Unmarshal([]byte(`{"items": [
		{"metadata": {"name": "dev-0"}, "status": {"conditions": `+ready+`}},
		{"metadata": {"name": "dev-1"}, "spec": {"unschedulable": true}, "status": {"conditions": `+ready+`}},
		{"metadata": {"name": "dev-2"}, "status": {"conditions": `+silent+`}}
	]}`), &nodes))
	var pods podList
	require.NoError(t, json.Unmarshal([]byte(`{"items": [
		{"spec": {"nodeName": "dev-0"}, "status": {"phase": "Running"}},
		{"spec": {"nodeName": "dev-0"}, "status": {"phase": "Succeeded"}},
		{"spec": {"nodeName": "dev-1"}, "status": {"phase": "Running"}}
	]}`), &pods))

	var status Status
	status.addNodes(three.Nodes(), nodes, pods)
	assert.Equal(t, Status{
		Lines: [][2]string{
			{"node dev-0", "ready, 1 pods"},
			{"node dev-1", "ready, cordoned: new pods go elsewhere, 1 pods"},
			{"node dev-2", "not ready, 0 pods"},
		},
		Faults: []string{"node dev-2 is not ready: Kubelet stopped posting node status."},
	}, status)

	status = Status{}
	status.addNodes(three.Nodes()[:1], nodes, pods)
	assert.Equal(t, Status{}, status)
}

func TestStatusOfALabThatIsNotThere(t *testing.T) {
	lab, err := layout.New("nolab", t.TempDir(), t.TempDir())
	require.NoError(t, err)
	assert.Equal(t, Status{
		Lines:  [][2]string{{"lab", "nolab does not exist"}},
		Faults: []string{"there is no lab of this name: make lab-up LAB=nolab makes one"},
	}, GetStatus(t.Context(), lab))
}

package cluster

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

func TestStatusCountsPodsAndVolumes(t *testing.T) {
	var pods podList
	require.NoError(t, json.Unmarshal([]byte(`{"items": [
		{"metadata": {"namespace": "exercises", "name": "a"}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}},
		{"metadata": {"namespace": "exercises", "name": "b"}, "status": {"phase": "Running", "conditions": [
			{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "False", "message": "containers with unready status: [app]"}]}},
		{"metadata": {"namespace": "exercises", "name": "c"}, "status": {"phase": "Pending", "containerStatuses": [
			{"name": "app", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}},
		{"metadata": {"namespace": "exercises", "name": "d"}, "status": {"phase": "Pending",
			"initContainerStatuses": [{"name": "init", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": ""}}}],
			"containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "PodInitializing", "message": ""}}}]}},
		{"metadata": {"namespace": "project", "name": "e"}, "status": {"phase": "Succeeded", "conditions": [{"type": "Ready", "status": "False", "message": "done"}]}},
		{"metadata": {"namespace": "project", "name": "f"}, "status": {"phase": "Failed"}},
		{"metadata": {"namespace": "project", "name": "g", "labels": {"batch.kubernetes.io/job-name": "backup"}}, "status": {"phase": "Failed"}},
		{"metadata": {"namespace": "project", "name": "h", "labels": {"batch.kubernetes.io/job-name": "backup"}}, "status": {"phase": "Running"}},
		{"metadata": {"namespace": "project", "name": "i", "labels": {"batch.kubernetes.io/job-name": "backup"}}, "status": {"phase": "Pending", "containerStatuses": [
			{"name": "backup", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}]}}
	]}`), &pods))
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
			"project/f: failed",
			"project/i: backup waits: ErrImagePull no such image",
		},
	}, status)
}

func TestStatusOfALabThatIsNotThere(t *testing.T) {
	lab, err := layout.New("nolab", t.TempDir(), t.TempDir())
	require.NoError(t, err)
	assert.Equal(t, Status{
		Lines:  [][2]string{{"lab", "nolab does not exist"}},
		Faults: []string{"there is no lab of this name: make lab-up LAB=nolab makes one"},
	}, Look(t.Context(), lab))
}

package e2e

import (
	"fmt"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// visitor is a pod as it may be in a namespace that enforces Pod Security "restricted". It runs a shell
// script once.
func visitor(labels map[string]string, script string) *corev1.Pod {
	yes, no, user := true, false, int64(999)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "visitor-", Labels: labels},
		Spec: corev1.PodSpec{
			RestartPolicy:                corev1.RestartPolicyNever,
			AutomountServiceAccountToken: &no,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   &yes,
				RunAsUser:      &user,
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name:    "visitor",
				Image:   "redis:8",
				Command: []string{"sh", "-c", script},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no,
					ReadOnlyRootFilesystem:   &yes,
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m")}, // many may run at once
					Limits: corev1.ResourceList{
						corev1.ResourceCPU:    resource.MustParse("250m"),
						corev1.ResourceMemory: resource.MustParse("32Mi"),
					},
				},
			}},
		},
	}
}

// visit runs a script in a visitor with the labels and returns what it wrote and its exit status.
func (c *cluster) visit(labels map[string]string, script string) (output string, status int32) {
	c.t.Helper()
	return c.runPod(visitor(labels, script))
}

// runPod returns what a pod of one container wrote until it ended, and its exit status.
func (c *cluster) runPod(pod *corev1.Pod) (output string, status int32) {
	c.t.Helper()
	pods := c.CoreV1().Pods(c.namespace)
	pod, err := pods.Create(c.t.Context(), pod, metav1.CreateOptions{})
	require.NoError(c.t, err)
	defer func() { assert.NoError(c.t, pods.Delete(c.t.Context(), pod.Name, metav1.DeleteOptions{})) }()

	eventually(c.t, func() error {
		now, err := pods.Get(c.t.Context(), pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, container := range now.Status.ContainerStatuses {
			if end := container.State.Terminated; end != nil {
				status = end.ExitCode
				return nil
			}
		}
		return fmt.Errorf("pod %s has not ended: %v", pod.Name, now.Status)
	})
	log, err := pods.GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(c.t.Context())
	require.NoError(c.t, err)
	return string(log), status
}

// reached tells which host:port a pod with the labels can connect to. Policies reach a new pod a moment after
// its start, those of the others first: until then it can connect to what no policy guards on its own, and to
// nothing else. So the first address should be one that is reached, and each has to be reached twice.
func (c *cluster) reached(labels map[string]string, addresses ...string) (reached []string) {
	c.t.Helper()
	script := `connect() { timeout 2 bash -c "</dev/tcp/$1/$2" 2>/dev/null; }
reach() { for try in $(seq $3); do connect $1 $2 && sleep 3 && connect $1 $2 && echo $1:$2 && return; sleep 1; done; }
`
	for i, address := range addresses {
		script += "reach " + strings.Replace(address, ":", " ", 1)
		if i == 0 {
			script += " 10\n"
		} else {
			script += " 3 &\n"
		}
	}
	output, _ := c.visit(labels, script+"wait")
	return strings.Fields(output)
}

// Package kube drives the lab's Kubernetes: pods, their processes, Jobs, and pods that visit a namespace.
package kube

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
)

// The stack's namespaces.
const (
	Exercises = "exercises"
	Project   = "project"
	Storage   = "storage"
)

// PodCount is the number of pods in each namespace, without Jobs and standbys.
var PodCount = map[string]int{
	Exercises: 6, // Redis twice, Postgres, pingpong twice, backup-metrics
	Project:   6, // Postgres, todo-backend twice, todo-frontend twice, backup-metrics
	Storage:   1,
}

// Cluster is a namespace of the lab's Kubernetes.
type Cluster struct {
	*kubernetes.Clientset
	T         *testing.T
	Lab       string
	Namespace string
	// Way is the network namespace that Services are reached from: the first node's. Policies let a node
	// connect to its own pods alone. With several nodes Way is a pod's namespace, whose labels let it connect.
	Way string
	// Standbys is how many servers a namespace's database has besides the primary.
	Standbys map[string]int
	own      []string
}

// Connect returns the namespace exercises. The test may disturb its own namespaces: WaitUntilReady waits for
// their pods. Outside of a lab's environment the test fails.
func Connect(t *testing.T, own ...string) *Cluster {
	for _, variable := range []string{"STATEFUL_K3S_LAB", "KUBECONFIG", "PULUMI_STACK", "PULUMI_BACKEND_URL"} {
		if os.Getenv(variable) == "" {
			t.Fatalf("%s is not set: run `make test`, or `. .lab/env` first", variable)
		}
	}
	return connect(t, lab.Name(), os.Getenv("KUBECONFIG"), own)
}

// ConnectTo is Connect for another lab of this machine.
func ConnectTo(t *testing.T, name string, own ...string) *Cluster {
	return connect(t, name, lab.Kubeconfig(name), own)
}

func connect(t *testing.T, name, kubeconfig string, own []string) *Cluster {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err, "read the kubeconfig")
	config.QPS = -1 // the load's look-ups do not hold up the test's own
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return &Cluster{client, t, name, Exercises, lab.NetworkOf(name), map[string]int{}, own}
}

// In is another namespace.
func (c *Cluster) In(namespace string) *Cluster {
	other := *c
	other.Namespace = namespace
	return &other
}

// For is the namespace in a subtest.
func (c *Cluster) For(t *testing.T) *Cluster {
	part := *c
	part.T = t
	return &part
}

// Command is a kubectl command about the namespace.
func (c *Cluster) Command(args ...string) *exec.Cmd {
	cmd := proc.Command(".", "kubectl", append([]string{"--namespace", c.Namespace}, args...)...)
	if c.Lab != lab.Name() {
		cmd.Env = append(os.Environ(), "KUBECONFIG="+lab.Kubeconfig(c.Lab))
	}
	return cmd
}

// Kubectl runs kubectl about the namespace, and returns its standard output.
func (c *Cluster) Kubectl(args ...string) string { return proc.Run(c.T, c.Command(args...)) }

// Field is a JSONPath of an object, such as "statefulset", "postgres-ss", "{.metadata.uid}".
func (c *Cluster) Field(kind, name, path string) string {
	return c.Kubectl("get", kind, name, "--output", "jsonpath="+path)
}

// Scale changes the number of pods, of "statefulset/postgres-ss" for example.
func (c *Cluster) Scale(what, replicas string) { c.Kubectl("scale", what, "--replicas", replicas) }

// Processes returns the processes of a pod that run a program, or all if it is "". A lab's nodes share the
// process table of this machine.
func Processes(pod *corev1.Pod, program string) []int {
	return proc.Find(func(dir string) bool {
		// In the name of a control group, systemd's driver writes the UID with underscores.
		group := strings.ReplaceAll(proc.Read(dir, "cgroup"), "_", "-")
		return strings.Contains(group, string(pod.UID)) && (program == "" || proc.Name(dir) == program)
	})
}

// Network is a pod's network namespace.
func (c *Cluster) Network(pod *corev1.Pod) string {
	sandbox := Processes(pod, "pause")
	require.Len(c.T, sandbox, 1, "sandboxes of pod %s", pod.Name)
	return proc.Dir(sandbox[0]) + "/ns/net"
}

// Process is the first process of the pod's container that runs a program.
func (c *Cluster) Process(pod, program string) int {
	for _, process := range Processes(c.Pod(pod), program) {
		if proc.IsFirst(process) {
			return process
		}
	}
	c.T.Fatalf("%s does not run in pod %s; do the tests run on the lab's machine, as root?", program, pod)
	return 0
}

// Kill kills the first process of a pod's container. From inside the pod that is not possible: there, the
// first process ignores signals. Kubernetes delays the restart of a container that has died before by up to
// five minutes, so such a pod is then replaced.
func (c *Cluster) Kill(pod, program string) {
	died := false
	for _, container := range c.Pod(pod).Status.ContainerStatuses {
		died = died || container.RestartCount > 0
	}
	require.NoError(c.T, syscall.Kill(c.Process(pod, program), syscall.SIGKILL))
	if died {
		c.DeletePod(pod)
	}
}

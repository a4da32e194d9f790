package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// cluster is a client of the lab's cluster.
type cluster struct {
	*kubernetes.Clientset
	lab string
}

func newCluster() (*cluster, error) {
	lab := os.Getenv("STATEFUL_K3S_LAB")
	if lab == "" {
		return nil, fmt.Errorf("STATEFUL_K3S_LAB is not set: run make bench")
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	return &cluster{client, lab}, err
}

func (c *cluster) pods(ctx context.Context, namespace, selector string) ([]corev1.Pod, error) {
	list, err := c.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("no pods %s in the namespace %s: run make up", selector, namespace)
	}
	return list.Items, nil
}

// place is an address, and the path of the network namespace from which it is reached.
type place struct{ network, address string }

// places are where pods answer, each reached from its node: policies let a node connect to its own pods
// alone.
func places(pods []corev1.Pod) (all []place) {
	for _, pod := range pods {
		all = append(all, place{"/run/netns/sk3s-" + pod.Spec.NodeName, pod.Status.PodIP + ":8080"})
	}
	return all
}

// kubectl runs kubectl in a namespace and returns its output.
func kubectl(ctx context.Context, namespace string, stdin []byte, args ...string) (string, error) {
	return run(ctx, stdin, "kubectl", append([]string{"--namespace", namespace}, args...)...)
}

// run runs a program and returns its output.
func run(ctx context.Context, stdin []byte, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out,
			stderr.String()) // pulumi writes errors to stdout
	}
	return strings.TrimSpace(string(out)), nil
}

// makeLab runs make for the bench's own lab.
func (c *cluster) makeLab(ctx context.Context, target string) error {
	_, err := run(ctx, nil, "env", "--unset=KUBECONFIG", "LAB="+c.lab, "make", target)
	return err
}

// memory returns the largest working set of the containers with a name, in bytes, from the kubelet.
func (c *cluster) memory(ctx context.Context, container string) (largest int64, err error) {
	path := "/api/v1/nodes/" + c.lab + "-0/proxy/stats/summary"
	raw, err := c.RESTClient().Get().AbsPath(path).DoRaw(ctx)
	if err != nil {
		return 0, err
	}
	var summary struct {
		Pods []struct {
			Containers []struct {
				Name   string
				Memory struct{ WorkingSetBytes int64 }
			}
		}
	}
	if err := json.Unmarshal(raw, &summary); err != nil {
		return 0, err
	}
	for _, pod := range summary.Pods {
		for _, found := range pod.Containers {
			if found.Name == container {
				largest = max(largest, found.Memory.WorkingSetBytes)
			}
		}
	}
	return largest, nil
}

package kube

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// Metrics returns the metrics of an app's pod, asked for inside of its network: from outside only its node
// reaches them.
func (c *Cluster) Metrics(pod, port string) (string, error) {
	return c.Get(pod, port, "/metrics")
}

// Get returns what a pod answers, asked for inside of its network.
func (c *Cluster) Get(pod, port, path string) (string, error) {
	found, err := c.CoreV1().Pods(c.Namespace).Get(c.T.Context(), pod, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	sandbox := Processes(found, "pause")
	if len(sandbox) != 1 {
		return "", fmt.Errorf("pod %s has %d sandboxes", pod, len(sandbox))
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		return load.InNamespace(ctx, proc.Dir(sandbox[0])+"/ns/net", address)
	}}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}
	answer, err := client.Get("http://" + net.JoinHostPort("127.0.0.1", port) + path)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

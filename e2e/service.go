package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// nodeNetwork is the network namespace of the lab's node, from which pods and Services can be reached as the kubelet does.
func nodeNetwork() string { return "/run/netns/sk3s-" + labName() + "-0" }

// serviceDialer connects to a Service's address, and looks it up again when it fails: a new Service has a new one.
type serviceDialer struct {
	c    *cluster
	name string

	mu      sync.Mutex
	address string
}

// dialer connects to a Service of the namespace.
func (c *cluster) dialer(service string) func(context.Context) (net.Conn, error) {
	return (&serviceDialer{c: c, name: service}).dial
}

func (d *serviceDialer) dial(ctx context.Context) (net.Conn, error) {
	address, err := d.lookUp(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := load.InNamespace(ctx, nodeNetwork(), address)
	if err != nil {
		d.mu.Lock()
		d.address = ""
		d.mu.Unlock()
	}
	return conn, err
}

func (d *serviceDialer) lookUp(ctx context.Context) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.address == "" {
		service, err := d.c.CoreV1().Services(d.c.namespace).Get(ctx, d.name, metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		d.address = net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(int(service.Spec.Ports[0].Port)))
	}
	return d.address, nil
}

// get asks a Service for a path until it answers with 200.
func (c *cluster) get(service, path string) (body string) {
	c.t.Helper()
	client := load.Client{Dial: c.dialer(service)}
	defer client.Close()
	eventually(c.t, func() error {
		status, answer, err := client.Get(c.t.Context(), path)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("GET %s: %d %s", path, status, answer)
		}
		body = string(answer)
		return err
	})
	return body
}

// metrics asks a pod from its node.
func (c *cluster) metrics(pod corev1.Pod) (string, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return load.InNamespace(ctx, nodeNetwork(), address)
		},
	}}
	response, err := client.Get("http://" + pod.Status.PodIP + ":9090/metrics")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

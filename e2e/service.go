package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// nodeNetwork is the network namespace of the lab's node, from which pods and Services can be reached as the kubelet does.
func nodeNetwork() string { return "/run/netns/sk3s-" + labName() + "-0" }

// dialer connects to a Service's address, and looks it up again when that fails: a new Service has a new one.
func (c *cluster) dialer(service string) load.Dial {
	return (&dialer{c: c, service: service}).dial
}

type dialer struct {
	c       *cluster
	service string

	mu      sync.Mutex
	address string
}

func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
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

func (d *dialer) lookUp(ctx context.Context) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.address == "" {
		service, err := d.c.CoreV1().Services(d.c.namespace).Get(ctx, d.service, metav1.GetOptions{})
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

// metrics asks a pod of an app, as only its node can.
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

// waitForMetric waits until each pod of an app has a metric.
func (c *cluster) waitForMetric(app, name string) {
	c.t.Helper()
	for _, pod := range c.podsOf(app) {
		eventually(c.t, func() error {
			metrics, err := c.metrics(pod)
			if err == nil && !strings.Contains(metrics, name) {
				err = fmt.Errorf("pod %s has no %s", pod.Name, name)
			}
			return err
		})
	}
}

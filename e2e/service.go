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
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// nodeNetwork is the network namespace of the lab's node, from which pods and Services can be reached as the
// kubelet does.
func nodeNetwork() string { return "/run/netns/sk3s-" + labName() + "-0" }

// dialer connects to a Service's address, and looks it up again every second: a new Service has a new one.
func (c *cluster) dialer(service string) load.Dial {
	var mu sync.Mutex
	var address string
	var lookedUp time.Time
	lookUp := func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(lookedUp) > time.Second {
			found, err := c.CoreV1().Services(c.namespace).Get(ctx, service, metav1.GetOptions{})
			if err != nil {
				return "", err
			}
			address = net.JoinHostPort(found.Spec.ClusterIP, strconv.Itoa(int(found.Spec.Ports[0].Port)))
			lookedUp = time.Now()
		}
		return address, nil
	}
	return func(ctx context.Context) (net.Conn, error) {
		address, err := lookUp(ctx)
		if err != nil {
			return nil, err
		}
		return load.InNamespace(ctx, nodeNetwork(), address)
	}
}

// get asks a Service for a path until it answers with 200.
func (c *cluster) get(service, path string) (body string) {
	c.t.Helper()
	return c.site(service).get(path)
}

func (c *cluster) site(service string) site { return site{c.t, c.dialer(service)} }

// site is where an app answers.
type site struct {
	t    *testing.T
	dial load.Dial
}

// get asks for a path until the answer is 200.
func (s site) get(path string) (body string) {
	s.t.Helper()
	client := load.Client{Dial: s.dial}
	defer client.Close()
	eventually(s.t, func() error {
		status, answer, err := client.Get(s.t.Context(), path)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("GET %s: %d %s", path, status, answer)
		}
		body = string(answer)
		return err
	})
	return body
}

// exchange sends a request from this machine, and returns what it is answered.
func exchange(t *testing.T, request *http.Request) (status int, body string) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(content)
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
	eventually(c.t, func() error {
		for _, pod := range c.podsOf(app) { // an update may replace them meanwhile
			metrics, err := c.metrics(pod)
			if err == nil && !strings.Contains(metrics, name) {
				err = fmt.Errorf("pod %s has no %s", pod.Name, name)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// enough acknowledged requests show that an app goes on.
const enough = 200

// goesOn waits until so many are acknowledged from now on.
func goesOn(t *testing.T, acknowledged func() int) {
	t.Helper()
	since := acknowledged()
	eventually(t, func() error {
		if n := acknowledged() - since; n < enough {
			return fmt.Errorf("%d requests were acknowledged", n)
		}
		return nil
	})
}

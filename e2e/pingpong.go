package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

const (
	pingpongService  = "pingpong-svc"
	pingpongSelector = "app=pingpong"

	// pinging is how many clients ping at the same time.
	pinging = 8
	// enough pings show that counting goes on.
	enough = 200
)

// nodeNetwork is the network namespace of the lab's node, from which pods and Services can be reached as the kubelet does.
func nodeNetwork() string { return "/run/netns/sk3s-" + labName() + "-0" }

// pingpongDialer connects to the Service's address, and looks it up again when it fails: a new Service has a new one.
type pingpongDialer struct {
	c *cluster

	mu      sync.Mutex
	address string
}

func (d *pingpongDialer) dial(ctx context.Context) (net.Conn, error) {
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

func (d *pingpongDialer) lookUp(ctx context.Context) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.address == "" {
		service, err := d.c.CoreV1().Services(namespace).Get(ctx, pingpongService, metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		d.address = net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(int(service.Spec.Ports[0].Port)))
	}
	return d.address, nil
}

// get asks the Service for a path until it answers with 200.
func (c *cluster) get(path string) (body string) {
	c.t.Helper()
	client := load.Client{Dial: (&pingpongDialer{c: c}).dial}
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

// pings is the count so far.
func (c *cluster) pings() int64 {
	c.t.Helper()
	var answer struct{ Pings int64 }
	require.NoError(c.t, json.Unmarshal([]byte(c.get("/pings")), &answer))
	return answer.Pings
}

// pingRun is clients that ping all the time, and the count before them.
type pingRun struct {
	*load.Pings
	c      *cluster
	before int64
}

// startPinging returns when every replica counts.
func (c *cluster) startPinging() *pingRun {
	c.t.Helper()
	run := &pingRun{c: c, before: c.pings()}
	run.Pings = load.Start(pinging, (&pingpongDialer{c: c}).dial)
	c.t.Cleanup(func() { run.Stop() })
	run.goesOn()
	for _, pod := range c.pingpongPods() {
		eventually(c.t, func() error {
			body, err := c.metrics(pod)
			if err != nil {
				return err
			}
			if !strings.Contains(body, `http_request_duration_seconds_count{route="GET /pingpong",status="200"}`) {
				return fmt.Errorf("pod %s has answered no ping", pod.Name)
			}
			return nil
		})
	}
	return run
}

// metrics asks a pod of pingpong from its node.
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

// goesOn waits until numbers are handed out from now on.
func (r *pingRun) goesOn() {
	r.c.t.Helper()
	since := r.Acknowledged()
	eventually(r.c.t, func() error {
		if n := r.Acknowledged() - since; n < enough {
			return fmt.Errorf("%d numbers were handed out", n)
		}
		return nil
	})
}

// end stops the clients and returns their account, checked against the count.
func (r *pingRun) end() load.Account {
	r.c.t.Helper()
	account := r.Stop()
	after := r.c.pings()
	r.c.t.Logf("%s; counted from %d to %d", account, r.before, after)
	require.NoError(r.c.t, account.Check(r.before, after))
	return account
}

func (c *cluster) pingpongPods() []corev1.Pod {
	c.t.Helper()
	pods, err := c.CoreV1().Pods(namespace).List(c.t.Context(), metav1.ListOptions{LabelSelector: pingpongSelector})
	require.NoError(c.t, err)
	require.NotEmpty(c.t, pods.Items)
	return pods.Items
}

// deleteAllPods deletes all pods of the namespace at once, and returns when each has been replaced by a ready one.
func (c *cluster) deleteAllPods() {
	c.t.Helper()
	pods, err := c.CoreV1().Pods(namespace).List(c.t.Context(), metav1.ListOptions{})
	require.NoError(c.t, err)
	old := map[string]bool{}
	for _, pod := range pods.Items {
		old[string(pod.UID)] = true
	}
	require.NoError(c.t, c.CoreV1().Pods(namespace).DeleteCollection(c.t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}))
	c.waitForPods(func(pod corev1.Pod) error {
		if old[string(pod.UID)] {
			return errors.New("is still there")
		}
		return nil
	})
}

// waitForPods waits until all pods of pingpong and its Postgres are ready and satisfy a condition.
func (c *cluster) waitForPods(condition func(corev1.Pod) error) {
	c.t.Helper()
	eventually(c.t, func() error {
		pods, err := c.CoreV1().Pods(namespace).List(c.t.Context(), metav1.ListOptions{LabelSelector: "app in (pingpong, postgres)"})
		if err != nil {
			return err
		}
		for _, pod := range pods.Items {
			err := condition(pod)
			if err == nil && !isReady(&pod) {
				err = errors.New("is not ready")
			}
			if err != nil {
				return fmt.Errorf("pod %s: %w", pod.Name, err)
			}
		}
		if len(pods.Items) < 3 {
			return fmt.Errorf("there are %d pods", len(pods.Items))
		}
		return nil
	})
}

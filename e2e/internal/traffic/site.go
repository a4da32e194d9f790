// Package traffic uses the stack's apps with many concurrent clients, and checks what became of each request.
package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// Site is where an app answers.
type Site struct {
	T    *testing.T
	Dial load.Dial
}

// Pingpong is the Service of pingpong.
func Pingpong(c *kube.Cluster) Site { return Site{c.T, dialer(c, "pingpong-svc")} }

// Backend is the Service of todo-backend.
func Backend(c *kube.Cluster) Site { return Site{c.T, dialer(c, "todo-backend-svc")} }

// dialer connects to a Service's address, and looks it up again every second: a new Service has a new one.
// While the cluster's API is away, the last address has to do.
func dialer(c *kube.Cluster, service string) load.Dial {
	var mu sync.Mutex
	var address string
	var lookedUp time.Time
	lookUp := func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(lookedUp) > time.Second {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			found, err := c.CoreV1().Services(c.Namespace).Get(ctx, service, metav1.GetOptions{})
			if err == nil {
				address = net.JoinHostPort(found.Spec.ClusterIP, strconv.Itoa(int(found.Spec.Ports[0].Port)))
			} else if address == "" {
				return "", err
			}
			lookedUp = time.Now()
		}
		return address, nil
	}
	return func(ctx context.Context) (net.Conn, error) {
		address, err := lookUp(ctx)
		if err != nil {
			return nil, err
		}
		return load.InNamespace(ctx, c.Way, address)
	}
}

// Get asks for a path until the answer is 200.
func (s Site) Get(path string) (body string) {
	client := load.Client{Dial: s.Dial}
	defer client.Close()
	wait.Until(s.T, func() error {
		status, answer, err := client.Get(s.T.Context(), path)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("GET %s: %d %s", path, status, answer)
		}
		body = string(answer)
		return err
	})
	return body
}

// Pings is the count so far.
func (s Site) Pings() int64 {
	var answer struct{ Pings int64 }
	require.NoError(s.T, json.Unmarshal([]byte(s.Get("/pings")), &answer))
	return answer.Pings
}

// Todos returns the titles of all todos by ID.
func (s Site) Todos() map[int64]string {
	const limit = 1000
	titles := map[int64]string{}
	for path := fmt.Sprintf("/todos?limit=%d", limit); ; {
		var page []struct {
			ID    int64
			Title string
		}
		require.NoError(s.T, json.Unmarshal([]byte(s.Get(path)), &page))
		for _, todo := range page {
			titles[todo.ID] = todo.Title
		}
		if len(page) < limit {
			return titles
		}
		path = fmt.Sprintf("/todos?limit=%d&after=%d", limit, page[limit-1].ID)
	}
}

// TodosWith returns the todos with titles that start with a prefix.
func (s Site) TodosWith(prefix string) map[int64]string {
	todos := s.Todos()
	maps.DeleteFunc(todos, func(_ int64, title string) bool { return !strings.HasPrefix(title, prefix) })
	return todos
}

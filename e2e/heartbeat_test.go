package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/store"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// heartbeats is a server on this machine that stands in for healthchecks.io.
type heartbeats struct {
	mu   sync.Mutex
	seen map[string]int // by path
}

// startHeartbeats makes the stack's settings point to a server, until the test ends.
func startHeartbeats(t *testing.T, machine string) *heartbeats {
	h := &heartbeats{seen: map[string]int{}}
	listener, err := net.Listen("tcp", net.JoinHostPort(machine, "0"))
	require.NoError(t, err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: h}}
	server.Start()
	t.Cleanup(server.Close)
	pulumi.Configure(t, map[string]string{"backupHeartbeatUrl": server.URL + "/token/{database}"},
		"backupHeartbeatNetworks="+machine+"/32")
	return h
}

func (h *heartbeats) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen[r.URL.Path]++
}

func (h *heartbeats) waitFor(t *testing.T, path string) {
	wait.Until(t, func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.seen[path] == 0 {
			return fmt.Errorf("nobody has asked for %s: %v", path, h.seen)
		}
		return nil
	})
}

// followBackups waits for a heartbeat of each database, and for one that tells of a failure.
func (h *heartbeats) followBackups(t *testing.T, c *kube.Cluster) {
	h.waitFor(t, "/token/pingpong")
	h.waitFor(t, "/token/todo")
	c = c.In(project)
	completed, log := c.WaitForJob(store.StartBackup(c, "fails", failing))
	assert.False(t, completed, log)
	h.waitFor(t, "/token/todo/fail")
}

// failing makes a backup fail soon, in a way that a run records in the store.
func failing(job *batchv1.JobSpec) {
	kube.SetEnv(job, "URL", "postgres://nobody@localhost:1/todo")
	kube.SetEnv(job, "RETRY", "0s")
	job.BackoffLimit = ptr.To[int32](0)
}

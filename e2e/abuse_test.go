package e2e

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/internal/abuse"
)

// TestAbuseThroughTheIngress abuses the apps as strangers can. Meanwhile every honest request is answered,
// and no container restarts.
func TestAbuseThroughTheIngress(t *testing.T) {
	c := newCluster(t).In(project)
	// The longest list that the backend answers with.
	postgres.Query(c, "INSERT INTO todo (title, completed) "+
		"SELECT repeat('🐈', 140), false FROM generate_series(1, 1000)")
	t.Cleanup(func() { postgres.Query(c, "DELETE FROM todo WHERE title = repeat('🐈', 140)") })
	restarts := countRestarts(c)
	for _, way := range abuse.All {
		duration := 2 * time.Second
		if way.Name == "idle connections" {
			duration = 10 * time.Second // they come one after the other, and fill the memory if anything does
		}
		t.Run(way.Name, func(t *testing.T) {
			for _, site := range abuse.Sites(os.Getenv("STATEFUL_K3S_INGRESS_ADDRESS") + ":80") {
				stop := way.Start(site)
				honest := site.Honest()
				time.Sleep(duration)
				account := honest.Stop()
				stop()
				assert.NoError(t, account.Check(), site.Name)
				t.Logf("%s: %d answers, 99 %% of them within %s", site.Name, len(account.Latencies), account.P99())
			}
		})
	}
	assert.Equal(t, restarts, countRestarts(c))
}

// countRestarts counts the restarts of all running pods' containers.
func countRestarts(c *kube.Cluster) map[string]int32 {
	counts := map[string]int32{}
	for _, pod := range c.Running() {
		for _, container := range pod.Status.ContainerStatuses {
			counts[pod.Namespace+"/"+pod.Name] += container.RestartCount
		}
	}
	return counts
}

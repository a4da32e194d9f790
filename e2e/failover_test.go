package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

const (
	// cluster is the object of CloudNativePG in a namespace. The others select its pods.
	cluster   = "clusters.postgresql.cnpg.io/postgres"
	servers   = "cnpg.io/cluster=postgres"
	primaries = servers + ",cnpg.io/instanceRole=primary"
	replicas  = servers + ",cnpg.io/instanceRole=replica"
	// operators is the namespace of the operator and its plugin.
	operators = "cnpg-system"
)

// primary is the pod of the server that clients reach.
func primary(c *kube.Cluster) corev1.Pod {
	pods := c.Pods(primaries)
	require.Len(c.T, pods, 1)
	return pods[0]
}

// standbys are the pods of the servers that follow the primary.
func standbys(c *kube.Cluster) []corev1.Pod { return c.Pods(replicas) }

// pods are the names and ids of pods.
func pods(c *kube.Cluster, selector string) (all []string) {
	for _, pod := range c.Pods(selector) {
		all = append(all, pod.Name+" "+string(pod.UID))
	}
	slices.Sort(all)
	return all
}

// promote orders that a standby becomes the primary, as kubectl cnpg promote does.
func promote(c *kube.Cluster, standby corev1.Pod) {
	c.Kubectl("patch", cluster, "--subresource", "status", "--type", "merge", "--patch", fmt.Sprintf(
		`{"status": {"targetPrimary": %q, "targetPrimaryTimestamp": %q, "phase": "Switchover in progress"}}`,
		standby.Name, time.Now().UTC().Format(time.RFC3339)))
}

func inBoth(c *kube.Cluster, do func(*kube.Cluster)) {
	for _, namespace := range []string{exercises, project} {
		do(c.In(namespace))
	}
}

// sql runs a statement on the primary in the database of its app, as the superuser.
func sql(c *kube.Cluster, statement string) string {
	database := map[string]string{exercises: "pingpong", project: "todo"}[c.Namespace]
	return strings.TrimSpace(c.Kubectl("exec", primary(c).Name, "--container", "postgres", "--", "psql",
		"--quiet", "--tuples-only", "--no-align", "--dbname", database, "--command", statement))
}

// failovers are the ways in which a primary is lost while its node lives. Each returns when there is another
// one, but for the killed Postgres, which may start again.
var failovers = []struct {
	name string
	lose func(*kube.Cluster)
}{
	{"another server becomes the primary by order", func(c *kube.Cluster) {
		old := primary(c)
		promote(c, standbys(c)[0])
		waitForAnother(c, old)
	}},
	{"the primary's pod is deleted by force", func(c *kube.Cluster) { killPrimary(c) }},
	{"the operator is killed, and then the primary's pod", func(c *kube.Cluster) {
		killPrimary(c, c.In(operators).Pods("app.kubernetes.io/name=cloudnative-pg")...)
	}},
	{"the primary's Postgres is killed", func(c *kube.Cluster) {
		old := primary(c)
		for _, process := range kube.Processes(&old, "postgres") {
			_ = syscall.Kill(process, syscall.SIGKILL) // it may have ended with the first one
		}
	}},
}

// killPrimary deletes pods of the operator's namespace by force, and then the primary's.
func killPrimary(c *kube.Cluster, first ...corev1.Pod) {
	old := primary(c)
	for _, pod := range first {
		c.In(operators).ForceDelete(pod.Name)
	}
	c.ForceDelete(old.Name)
	waitForAnother(c, old)
}

// waitForAnother waits until another pod than the old one is the primary and ready. Both may have the same
// name.
func waitForAnother(c *kube.Cluster, old corev1.Pod) {
	wait.Until(c.T, func() error {
		pods := c.Pods(primaries)
		if len(pods) != 1 || pods[0].UID == old.UID || !kube.IsReady(&pods[0]) {
			return fmt.Errorf("no other pod is the primary instead of %s: %d are", old.Name, len(pods))
		}
		return nil
	})
}

// waitUntilHealthy waits until all servers follow one primary.
func waitUntilHealthy(c *kube.Cluster) {
	wait.Until(c.T, func() error {
		phase, err := c.Command("get", cluster, "--output", "jsonpath={.status.phase}").Output()
		if err == nil && !strings.Contains(string(phase), "healthy") {
			err = errors.New(string(phase))
		}
		return err
	})
}

// watchGaps returns a function that ends the watch, and tells the longest time in which a number did not
// grow.
func watchGaps(number func() int) (longest func() time.Duration) {
	done, result := make(chan struct{}), make(chan time.Duration)
	go func() {
		last, since, most := number(), time.Now(), time.Duration(0)
		for {
			select {
			case <-done:
				result <- max(most, time.Since(since)).Round(100 * time.Millisecond)
				return
			case <-time.After(50 * time.Millisecond):
			}
			if now := number(); now != last {
				most, last, since = max(most, time.Since(since)), now, time.Now()
			}
		}
	}()
	return func() time.Duration { close(done); return <-result }
}

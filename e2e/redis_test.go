package e2e

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/rounds"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/train"
)

// TRAIN_KILLS is the number of kills, by default one of each kind; TRAIN_SEED repeats a sequence.
func TestTrainGoesOnAfterRandomKills(t *testing.T) {
	c := newLane(t, exercises)
	random := rounds.Random(t, "TRAIN")
	kills := []struct {
		name string
		kill func(pod string)
	}{
		{"delete pod", c.DeletePod},
		{"kill redis", func(pod string) { c.Kill(pod, "redis-server") }},
		{"kill redisfiller", func(pod string) { c.Kill(pod, "redisfiller") }},
		{"cut the power", func(pod string) { cutPower(c, pod) }},
	}
	ride := train.Board(c)
	for i := range int(rounds.Number(t, "TRAIN_KILLS", uint64(len(kills)))) {
		kill, pod := kills[i%len(kills)], kube.RedisPods[random.IntN(len(kube.RedisPods))]
		t.Logf("%d: %s %s", i+1, kill.name, pod)
		kill.kill(pod)
		ride.WaitUntilGoingOn()
	}
}

// cutPower kills Redis as a power cut does: some file systems then have zeros where a write was under way.
func cutPower(c *kube.Cluster, pod string) {
	const server = "redis-server"
	process := c.Process(pod, server)
	require.NoError(c.T, syscall.Kill(process, syscall.SIGSTOP))
	files, err := filepath.Glob(proc.Dir(process) + "/root/data/appendonlydir/*.incr.aof")
	require.NoError(c.T, err)
	require.NotEmpty(c.T, files)
	proc.Run(c.T, proc.Command(".", "truncate", append([]string{"--size", "+5000"}, files...)...))
	c.Kill(pod, server)
}

func TestServiceResolvesToBothPods(t *testing.T) {
	c := newLane(t, exercises)
	assert.ElementsMatch(t, redisIPs(c), resolve(c, "redis-svc"))
}

func TestPodsNameResolvesToItAlone(t *testing.T) {
	c := newLane(t, exercises)
	assert.Equal(t, redisIPs(c)[:1], resolve(c, "redis-stset-0.redis-svc"))
}

func redisIPs(c *kube.Cluster) (ips []string) {
	for _, name := range kube.RedisPods {
		ips = append(ips, c.Pod(name).Status.PodIP)
	}
	return ips
}

// resolve returns the addresses that a pod gets for a name. The cluster's DNS caches answers for 5 seconds.
func resolve(c *kube.Cluster, name string) (addresses []string) {
	output, status := c.Visit(kube.Visitor(nil, "sleep 6; for try in $(seq 30); do getent ahostsv4 "+name+
		" && exit; sleep 1; done; exit 1"))
	assert.Zero(c.T, status, "%s does not resolve: %s", name, output)
	for line := range strings.Lines(output) {
		addresses = append(addresses, strings.Fields(line)[0])
	}
	slices.Sort(addresses)
	return slices.Compact(addresses)
}

func TestEachPodHasAClaimOfItsOwn(t *testing.T) {
	c := newLane(t, exercises)
	volumes := map[string]string{}
	for name, claim := range c.Claims() {
		if strings.HasPrefix(name, exercises+"/") {
			volumes[claim.Volume] = name
		}
	}
	assert.ElementsMatch(t, []string{"exercises/redis-data-storage-redis-stset-0",
		"exercises/redis-data-storage-redis-stset-1", "exercises/data-postgres-ss-0"},
		slices.Collect(maps.Values(volumes)))
	for _, name := range kube.RedisPods {
		assert.Equal(t, "redis-data-storage-"+name,
			c.Field("pod", name, "{.spec.volumes[*].persistentVolumeClaim.claimName}"))
	}
}

// askRedis tries again, since policies reach a new pod a moment after its start.
const askRedis = `for try in $(seq 20); do timeout 3 redis-cli -h redis-svc ping && exit; sleep 1; done
exit 1`

func TestClientReachesRedisWhichWantsAPassword(t *testing.T) {
	c := newLane(t, exercises)
	output, status := c.Visit(kube.Visitor(map[string]string{"redis-client": "true"}, askRedis))
	assert.Equal(t, 0, status, output)
	assert.Contains(t, output, "NOAUTH Authentication required.")
}

func TestPodThatBreaksRestrictedIsRefused(t *testing.T) {
	c := newLane(t, exercises)
	pod := kube.Visitor(nil, "true")
	pod.Spec.Containers[0].SecurityContext.Privileged = ptr.To(true)
	pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = ptr.To(true)
	_, err := c.CoreV1().Pods(c.Namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	assert.True(t, apierrors.IsForbidden(err), err)
	assert.ErrorContains(t, err, `violates PodSecurity "restricted`)
}

// The data of redis-stset-1 says that an earlier major version has written it.
func TestANewMajorVersionOfRedisKeepsACopyOfTheData(t *testing.T) {
	c := newLane(t, exercises)
	const pod = "redis-stset-1"
	ride := train.Board(c)
	in := func(command string) string {
		return c.Kubectl("exec", pod, "--container", "redis", "--", "sh", "-ec", command)
	}
	defer in("rm -rf /data/appendonlydir-*")
	in("echo redis-7 >/data/appendonlydir/version")
	c.DeletePod(pod)
	ride.WaitUntilGoingOn()
	assert.Equal(t, "redis-8", strings.TrimSpace(in("cat /data/appendonlydir/version")))
	assert.Equal(t, "redis-7", strings.TrimSpace(in("cat /data/appendonlydir-redis-7/version")))
	in("redis-check-aof /data/appendonlydir-redis-7/appendonly.aof.manifest")
}

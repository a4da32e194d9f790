package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The course's exercise: the count is in a Postgres of its own pod, and survives when all pods are taken down.
func TestPingpongCountsOnAfterAllPodsWereDeleted(t *testing.T) {
	c := newCluster(t)
	before := c.pings()
	assert.Equal(t, fmt.Sprintf("pong %d", before), c.get(pingpongService, "/pingpong"))
	assert.Equal(t, fmt.Sprintf("pong %d", before+1), c.get(pingpongService, "/pingpong"))
	c.deleteAllPods()
	assert.Equal(t, before+2, c.pings())
	assert.Equal(t, fmt.Sprintf("pong %d", before+2), c.get(pingpongService, "/pingpong"))
}

func TestRollingUpdateLosesNoPing(t *testing.T) {
	c := newCluster(t)
	run := c.startPinging()
	c.restart("pingpong")
	run.goesOn()
	account := run.end()
	assert.Zero(t, account.Refused+account.NotSent+account.Unanswered, "%s: %s", account, strings.Join(account.Reasons, "\n"))
}

func TestCountIsExactAfterDestroyAndUp(t *testing.T) {
	c := newCluster(t)
	run := c.startPinging()
	pulumiDestroy(t)
	makeUp(t)
	run.goesOn()
	run.end()
}

func TestCountIsExactWhileSecretsAreRotated(t *testing.T) {
	c := newCluster(t)
	secret := func() map[string][]byte {
		found, err := c.CoreV1().Secrets(c.namespace).Get(t.Context(), "postgres", metav1.GetOptions{})
		require.NoError(t, err)
		return found.Data
	}
	run, before := c.startPinging(), secret()
	pulumiUpWith(t, "postgresPasswordVersion=rotated", "postgresTLSVersion=rotated")
	run.goesOn()
	for _, key := range []string{"URL", "ca.crt"} {
		assert.NotEqual(t, before[key], secret()[key], key)
	}
	makeUp(t) // and with the settings of before once more
	run.goesOn()
	c.waitForPods(func(corev1.Pod) error { return nil })
	run.end()
}

// PINGPONG_KILLS is the number of kills, by default one of each kind; PINGPONG_SEED repeats a sequence.
func TestCountIsExactAfterKills(t *testing.T) {
	c := newCluster(t)
	seed := number(t, "PINGPONG_SEED", rand.Uint64())
	t.Logf("PINGPONG_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	kills := []struct {
		name string
		kill func()
	}{
		{"kill Postgres", func() { c.killAndReplace(postgresPod, "postgres") }},
		{"kill a replica", func() {
			pods := c.podsOf("pingpong")
			c.killAndReplace(pods[random.IntN(len(pods))].Name, "pingpong")
		}},
		{"delete a replica", func() {
			pods := c.podsOf("pingpong")
			c.deletePod(pods[random.IntN(len(pods))].Name)
		}},
		{"delete Postgres", func() { c.deletePod(postgresPod) }},
		{"delete all pods", c.deleteAllPods},
	}
	run := c.startPinging()
	for i := range number(t, "PINGPONG_KILLS", uint64(len(kills))) {
		kill := kills[i%uint64(len(kills))]
		if i >= uint64(len(kills)) {
			kill = kills[random.IntN(len(kills))]
		}
		t.Logf("%d: %s", i+1, kill.name)
		kill.kill()
		run.goesOn()
	}
	c.waitForPods(func(corev1.Pod) error { return nil })
	run.end()
}

func TestOnlyClientsReachPingpong(t *testing.T) {
	c := newCluster(t)
	const ask = `for try in $(seq 10); do
		timeout 3 bash -c 'exec 3<>/dev/tcp/%s; printf "GET %s HTTP/1.0\r\n\r\n" >&3; cat <&3' && exit; sleep 1
	done; exit 1`
	metrics := net.JoinHostPort(c.podsOf("pingpong")[0].Status.PodIP, "9090")
	for _, test := range []struct {
		labels     map[string]string
		host, path string
		reached    bool
	}{
		{map[string]string{"pingpong-client": "true"}, pingpongService + "/80", "/pings", true},
		{nil, pingpongService + "/80", "/pings", false},
		{map[string]string{"pingpong-client": "true"}, strings.Replace(metrics, ":", "/", 1), "/metrics", false},
	} {
		output, status := c.visit(test.labels, fmt.Sprintf(ask, test.host, test.path))
		assert.Equal(t, test.reached, status == 0, "%v %s%s: %s", test.labels, test.host, test.path, output)
		assert.Equal(t, test.reached, strings.Contains(output, "200 OK"), output)
	}

	body, err := c.metrics(c.podsOf("pingpong")[0])
	require.NoError(t, err)
	assert.Contains(t, body, "pingpong_batch_pings_sum", "the node itself sees them")
}

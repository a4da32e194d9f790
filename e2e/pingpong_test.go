package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	assert.Zero(t, account.Failed(), "%s: %s", account, strings.Join(account.Reasons, "\n"))
}

func TestNothingIsLostInDestroyAndUp(t *testing.T) {
	c := newCluster(t)
	pings, todos := c.startPinging(), c.in(project).startAdding(0)
	pulumiDestroy(t)
	makeUp(t)
	pings.goesOn()
	todos.goesOn()
	pings.end()
	todos.end()
}

func TestCountIsExactAfterKills(t *testing.T) {
	c := newCluster(t)
	run := c.startPinging()
	c.killPods("pingpong", "PINGPONG", run.goesOn)
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

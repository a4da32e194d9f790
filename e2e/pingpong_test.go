package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The course's exercise: the count is in a Postgres of its own pod, and survives when all pods are taken down.
func TestPingpongCountsOnAfterAllPodsWereDeleted(t *testing.T) {
	c := newLane(t, exercises)
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
	pings, todos, ride := c.startPinging(), c.in(project).startAdding(), c.board()
	claims, url := c.claims(), c.postgresSecret("URL")
	said := run(t, makeCommand(checkout, "destroy", labName()))
	assert.Contains(t, said, "The stack's namespaces stay, with the data in their claims: make up takes them up again, make purge deletes them.")
	_, err := c.AppsV1().StatefulSets(c.namespace).Get(t.Context(), statefulSet, metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "the StatefulSet after destroy: %v", err)
	_, err = c.CoreV1().Namespaces().Get(t.Context(), c.namespace, metav1.GetOptions{})
	assert.NoError(t, err, "destroy keeps the namespace")
	assert.Equal(t, claims, c.claims(), "destroy keeps the claims")

	makeUp(t)
	assert.Equal(t, claims, c.claims(), "up takes up the same claims")
	assert.NotEqual(t, url, c.postgresSecret("URL"), "the new Secret has other passwords than the old volume")
	pings.goesOn()
	todos.goesOn()
	ride.goesOn()
	pings.end()
	todos.end()
}

func TestCountIsExactAfterKills(t *testing.T) {
	c := newLane(t, exercises)
	run, claims := c.startPinging(), c.claims()
	c.killPods("pingpong", "PINGPONG", run.goesOn)
	run.end()
	assert.Equal(t, claims, c.claims())
}

package e2e

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNoTodoIsLostInKills(t *testing.T) {
	c := newCluster(t).in(project)
	run := c.startAdding(0)
	c.killPods("todo-backend", "TODO", run.goesOn)
	run.end()
}

func TestRollingUpdateFailsNoRequest(t *testing.T) {
	c := newCluster(t).in(project)
	run := c.startAdding(200)
	c.restart("todo-backend")
	run.goesOn()
	account := run.end()
	assert.Zero(t, account.Failed(), "%s: %s", account, strings.Join(account.Reasons, "\n"))
}

func TestOnlyClientsReachTodos(t *testing.T) {
	c := newCluster(t).in(project)
	addresses := []string{"todo-backend-svc:80", "todo-frontend-svc:80", "postgres-svc:5432", "storage-svc.storage:9000"}
	for _, app := range []string{"todo-backend", "todo-frontend"} {
		addresses = append(addresses, net.JoinHostPort(c.podsOf(app)[0].Status.PodIP, "9090"))
	}
	for name, test := range map[string]struct {
		labels  map[string]string
		reached []string
	}{
		"client": {map[string]string{"todo-client": "true"}, addresses[:2]},
		"other":  {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.ElementsMatch(t, test.reached, newCluster(t).in(project).reached(test.labels, addresses...))
		})
	}
}

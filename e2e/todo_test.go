package e2e

import (
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
	backend, frontend := c.podsOf("todo-backend")[0].Status.PodIP, c.podsOf("todo-frontend")[0].Status.PodIP
	client := map[string]string{"todo-client": "true"}
	output, _ := c.visit(client, connect("todo-backend-svc:80", "todo-frontend-svc:80", backend+":9090", frontend+":9090", "postgres-svc:5432"))
	assert.Equal(t, []string{"yes", "yes", "no", "no", "no"}, strings.Fields(output))
	output, _ = c.visit(nil, connect("todo-backend-svc:80", "todo-frontend-svc:80"))
	assert.Equal(t, []string{"no", "no"}, strings.Fields(output))
}

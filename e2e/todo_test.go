package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNoTodoIsLostInKills(t *testing.T) {
	c := newLane(t, project)
	run := c.startAdding()
	c.killPods("todo-backend", "TODO", run.goesOn)
	run.end()
}

func TestRollingUpdateFailsNoRequest(t *testing.T) {
	c := newLane(t, project)
	run := c.startAdding()
	c.restart("todo-backend")
	run.goesOn()
	account := run.end()
	assert.Zero(t, account.Failed(), "%s: %s", account, strings.Join(account.Reasons, "\n"))
}

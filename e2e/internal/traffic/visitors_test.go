package traffic

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

func TestOnlyTheIngressMayAnswerWithoutTheApp(t *testing.T) {
	apps := []string{
		`status 404: {"title":"Not Found","status":404,"detail":"there is no such todo"}`,
		`status 502: {"title":"Bad Gateway","status":502,"detail":"the todos are away"}`,
		"status 500: Internal Server Error",
	}
	answers := append([]string{"status 404: 404 page not found\n", "status 502: Bad Gateway"}, apps...)
	assert.Equal(t, load.Outcomes{Refused: 2, Unanswered: 4, Faults: apps},
		WithoutIngress(load.Outcomes{Refused: 1, Unanswered: 3, Faults: answers}))
}

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// askRedis tries again, since policies reach a new pod a moment after its start.
const askRedis = "for try in $(seq 20); do timeout 3 redis-cli -h redis-svc ping && exit; sleep 1; done; exit 1"

func TestClientReachesRedisWhichWantsAPassword(t *testing.T) {
	c := newLane(t, exercises)
	output, status := c.visit(map[string]string{"redis-client": "true"}, askRedis)
	assert.Equal(t, int32(0), status, output)
	assert.Contains(t, output, "NOAUTH Authentication required.")
}

func TestPodThatBreaksRestrictedIsRefused(t *testing.T) {
	c := newLane(t, exercises)
	pod := visitor(nil, "true")
	yes := true
	pod.Spec.Containers[0].SecurityContext.Privileged = &yes
	pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = &yes
	_, err := c.CoreV1().Pods(c.namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	assert.True(t, apierrors.IsForbidden(err), err)
	assert.ErrorContains(t, err, `violates PodSecurity "restricted`)
}

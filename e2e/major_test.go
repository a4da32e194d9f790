//go:build soak

package e2e

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/rounds"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

const newVersion = "postgres:18"

// newClaim is where the data moves to.
const newClaim = "data-18-" + postgres.Pod

// TestANewMajorVersionLosesNothing moves both databases to a new major version of Postgres while clients ping
// and add todos, and back. In each of MAJOR_ROUNDS, the program and its pods are killed in MAJOR_KILLS of the
// moveKills first. As long as a preview refuses moves, make soak leaves it out.
func TestANewMajorVersionLosesNothing(t *testing.T) {
	c := newCluster(t)
	leaveSettings()
	pulumi.Configure(t, nil, "postgresImage="+newVersion)
	proc.Run(t, pulumi.Make("lab-up")) // which gets the image
	t.Cleanup(func() { backToTheOldVersion(c) })

	said := pulumi.Run(t, "preview")
	assert.Contains(t, said, "The database pingpong moves from PostgreSQL 17 to 18. First a backup is made")
	assert.Contains(t, said, "The database todo moves from PostgreSQL 17 to 18. ")
	for round := range rounds.Number(t, "MAJOR_ROUNDS", 1) {
		if round > 0 {
			back(c)
		}
		pings, todos := traffic.StartPings(c), traffic.AddTodos(c.In(project))
		kills := int(rounds.Number(t, "MAJOR_KILLS", 2))
		for i := range kills {
			kill := moveKills[(i+1)*len(moveKills)/kills-1]
			t.Log("killed when", kill.name)
			kill.do(c)
		}
		pulumi.MakeUp(t)
		pings.WaitUntilGoingOn()
		todos.WaitUntilGoingOn()
		pings.End()
		todos.End()
		assert.True(t, strings.HasPrefix(postgres.Query(c, "SHOW server_version"), "18."))
		assert.NotEqual(t, "0", postgres.Query(c, "SELECT count(*) FROM pg_stats WHERE schemaname = 'public'"),
			"statistics of the planner")
	}
	pulumi.UpChangesNothing(t)
	assert.Contains(t, c.Claims(), exercises+"/"+postgres.Volume, "the claim of the old version")
}

// moveKills end a part of a move, in the order in which it comes to them.
var moveKills = []struct {
	name string
	do   func(*kube.Cluster)
}{
	{"the backup before it is made", func(c *kube.Cluster) {
		proc.KillWhen(c.T, pulumi.Make("up"), func() bool {
			return c.Command("get", "job", "upgrade").Run() == nil
		})
	}},
	{"the old server has stopped", func(c *kube.Cluster) {
		proc.KillWhen(c.T, pulumi.Make("up"), func() bool { return onTemplate(c) != "data" })
	}},
	{"the old data is read", func(c *kube.Cluster) {
		up := proc.Start(c.T, pulumi.Make("up"))
		waitForMove(c, "move-out")
		c.ForceDelete(postgres.Pod)
		require.NoError(c.T, up.Kill())
	}},
	{"the data is restored", func(c *kube.Cluster) {
		up := proc.Start(c.T, pulumi.Make("up"))
		waitForMove(c, "move-in")
		c.ForceDelete(postgres.Pod)
		require.NoError(c.T, up.Kill())
	}},
}

// onTemplate is the name of the template of the claim that Postgres has.
func onTemplate(c *kube.Cluster) string {
	name, _ := c.Command("get", "statefulset", postgres.Set, "--output",
		"jsonpath={.spec.volumeClaimTemplates[0].metadata.name}").Output()
	return string(name)
}

// waitForMove waits until a container of the move runs, or has ended.
func waitForMove(c *kube.Cluster, container string) {
	wait.Until(c.T, func() error {
		pod, err := c.CoreV1().Pods(c.Namespace).Get(c.T.Context(), postgres.Pod, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, status := range pod.Status.InitContainerStatuses {
			if status.Name == container && (status.State.Running != nil || ended(status)) {
				return nil
			}
		}
		return errors.New("no container " + container + " runs")
	})
}

func ended(status corev1.ContainerStatus) bool { return status.State.Terminated != nil }

// back goes back to the old version, as a person does, and makes room for another move.
func back(c *kube.Cluster) {
	said := refused(c.T, pulumi.Up("postgresImage=postgres:17"))
	assert.Contains(c.T, said, "to go back to the claim "+postgres.Volume+", and lose everything that was ")
	backToTheOldVersion(c)
}

// backToTheOldVersion leaves no data of the new version.
func backToTheOldVersion(c *kube.Cluster) {
	said := proc.Run(c.T, pulumi.Up("postgresImage=postgres:17", "postgresGoBack=pingpong todo"))
	require.Contains(c.T, said, "Everything that was written since the move stays behind")
	require.True(c.T, strings.HasPrefix(postgres.Query(c, "SHOW server_version"), "17."))
	for _, namespace := range []string{exercises, project} {
		c.In(namespace).Kubectl("delete", "pvc", newClaim)
	}
}

package e2e

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/rounds"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

const oldVersion, newVersion = "postgres:17", "postgres:18"

// newClaim is where the data moves to.
const newClaim = "data-18-" + postgres.Pod

// TestANewMajorVersionLosesNothing moves both databases to a new major version of Postgres while clients ping
// and add todos, and back. In each of MAJOR_ROUNDS it is killed at MAJOR_KILLS of the moveKills first.
func TestANewMajorVersionLosesNothing(t *testing.T) {
	c := newCluster(t)
	leaveSettings()
	pulumi.Configure(t, nil, "postgresImage="+oldVersion)
	t.Cleanup(func() { newServers(c, "postgresImage="+newVersion) })
	proc.Run(t, pulumi.Make("lab-up")) // which gets the image
	newServers(c, "postgresImage="+oldVersion)
	pulumi.Configure(t, nil, "postgresImage="+newVersion)
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
			kill := moveKills[(2*i+1)*len(moveKills)/(2*kills)]
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
	pulumi.MakeUp(t) // the Job upgrade goes, which an undisturbed move leaves
	pulumi.UpChangesNothing(t)
	assert.Contains(t, c.Claims(), exercises+"/"+postgres.Volume, "the claim of the old version")
}

// newServers replaces the databases by new, empty ones of the settings.
func newServers(c *kube.Cluster, settings ...string) {
	inBoth(c, func(c *kube.Cluster) {
		c.Kubectl("delete", "--ignore-not-found", "statefulset/"+postgres.Set, "pvc/"+postgres.Volume)
		_ = c.Command("delete", "--ignore-not-found", cluster).Run() // a stack without the engine knows no Cluster
	})
	up := pulumi.Up(settings...)
	up.Args = append(up.Args, "--refresh")
	proc.Run(c.T, up)
}

// moveKills end a make up and what it has started, in the order in which a move comes to them.
var moveKills = []struct {
	name string
	do   func(*kube.Cluster)
}{
	{"the backup before it begins", func(c *kube.Cluster) {
		proc.KillWhen(c.T, pulumi.Make("up"), func() bool { return len(c.JobPods("upgrade")) > 0 })
		for _, pod := range c.JobPods("upgrade") {
			c.ForceDelete(pod.Name)
		}
	}},
	{"the backup before it is made", whenIs("job/upgrade", "{.status.succeeded}")},
	{"the old server stops", func(c *kube.Cluster) {
		proc.KillWhen(c.T, pulumi.Make("up"), func() bool {
			stopping, err := c.Command("get", "statefulset", postgres.Set, "--output",
				"jsonpath={.metadata.deletionTimestamp}").Output()
			return err != nil || len(stopping) > 0
		})
	}},
	{"the new claim is made", whenIs("pvc/"+newClaim, "{.metadata.name}")},
	{"the old data is read", whenMoving("pg_dump", "move-out", killProcesses)},
	{"the new server is made", whenMoving("initdb", "setup", deletePod)},
	{"the data is restored, with the lab", func(c *kube.Cluster) {
		whenMoving("pg_restore", "move-in", killLab)(c)
		proc.Run(c.T, pulumi.Make("lab-up"))
	}},
	{"the data is restored", whenMoving("pg_restore", "move-in", killProcesses)},
	{"the new server answers", whenIs("statefulset/"+postgres.Set, "{.status.readyReplicas}")},
	{"the backup after it begins", whenIs("job/backup", "{.status.active}")},
}

func deletePod(c *kube.Cluster) { c.ForceDelete(postgres.Pod) }

func killLab(c *kube.Cluster) {
	for _, process := range lab.Daemons(lab.Name()) {
		require.NoError(c.T, syscall.Kill(process, syscall.SIGKILL))
	}
}

func killProcesses(c *kube.Cluster) {
	for _, process := range kube.Processes(c.Pod(postgres.Pod), "") {
		_ = syscall.Kill(process, syscall.SIGKILL) // its parent may have taken it along
	}
}

// whenIs kills the program when a field of an object is not empty.
func whenIs(object, field string) func(*kube.Cluster) {
	return func(c *kube.Cluster) {
		proc.KillWhen(c.T, pulumi.Make("up"), func() bool {
			value, err := c.Command("get", object, "--output", "jsonpath="+field).Output()
			return err == nil && len(value) > 0
		})
	}
}

// whenMoving kills the make up, and something else, when a program runs in a new pod. If the program was
// never seen, it does so when its container has ended.
func whenMoving(program, container string, kill func(*kube.Cluster)) func(*kube.Cluster) {
	return func(c *kube.Cluster) {
		up := proc.Start(c.T, pulumi.Make("up"))
		before, _ := c.CoreV1().Pods(c.Namespace).Get(c.T.Context(), postgres.Pod, metav1.GetOptions{})
		deletePod(c)
		wait.Until(c.T, func() error {
			pod, err := c.CoreV1().Pods(c.Namespace).Get(c.T.Context(), postgres.Pod, metav1.GetOptions{})
			if err != nil || pod.UID == before.UID {
				return errors.Join(err, errors.New("the pod is the old one"))
			}
			for range 3 { // it may run for less than the time between two attempts
				if len(kube.Processes(pod, program)) > 0 {
					return nil
				}
			}
			for _, status := range pod.Status.InitContainerStatuses {
				if status.Name == container && status.State.Terminated != nil {
					c.T.Log("killed later, since it has ended:", program)
					return nil
				}
			}
			return errors.New("not running: " + program)
		})
		kill(c)
		require.Error(c.T, up.Kill())
	}
}

// back goes back to the old version, as a person does, and makes room for another move.
func back(c *kube.Cluster) {
	said := refused(c.T, pulumi.Up("postgresImage="+oldVersion))
	assert.Contains(c.T, said, "to go back to the claim "+postgres.Volume+", and lose everything that was ")
	backToTheOldVersion(c)
}

// backToTheOldVersion leaves no data of the new version.
func backToTheOldVersion(c *kube.Cluster) {
	said := proc.Run(c.T, pulumi.Up("postgresImage="+oldVersion, "postgresGoBack=pingpong todo"))
	require.Contains(c.T, said, "Everything that was written since the move stays behind")
	require.True(c.T, strings.HasPrefix(postgres.Query(c, "SHOW server_version"), "17."))
	for _, namespace := range []string{exercises, project} {
		c.In(namespace).Kubectl("delete", "pvc", newClaim)
	}
}

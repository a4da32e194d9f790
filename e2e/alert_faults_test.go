package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/store"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// faultsOfServers do not disturb each other.
var faultsOfServers = map[string]fault{
	"Postgres is gone while people ping": {cause: losePostgres, alerts: []string{
		`PostgresDown{severity="critical", job="postgres", namespace="exercises", database="pingpong"}`,
		`RequestsFail{severity="critical", job="pingpong", namespace="exercises"}`,
	}},
	"a Redis is gone": {cause: scaled(exercises, "statefulset/redis-stset", "1", "2"), alerts: []string{
		`RedisDown{severity="critical", job="redis", namespace="exercises"}`,
	}},
	"a Redis may use little memory": {cause: limitRedis, alerts: []string{
		`RedisMemoryNearLimit{severity="warning", job="redis", namespace="exercises"}`,
	}},
	"an app is gone": {cause: scaled(project, "deployment/todo-frontend", "0", "2"), alerts: []string{
		`AppDown{severity="critical", job="todo-frontend", namespace="project"}`,
	}},
	"a pod of an app is gone": {cause: scaled(project, "deployment/todo-backend", "1", "2"), alerts: []string{
		`InstancesMissing{severity="warning", job="todo-backend", namespace="project"}`,
	}},
	"somebody takes the connections": {cause: takeConnections, alerts: []string{
		`ConnectionsNearLimit{severity="warning", job="postgres", namespace="project", database="todo"}`,
	}},
	"no daily todos are added": {cause: failDailyTodos, alerts: []string{
		`DailyTodoMissing{severity="warning", namespace="project"}`,
	}},
	"no backups are made, and one fails": {cause: failBackup, alerts: []string{
		`BackupTooOld{severity="critical", namespace="project", database="todo"}`,
		`BackupFailed{severity="warning", job="backup-metrics", namespace="project", database="todo"}`,
	}},
}

// faultsOfStores come when the others are mended.
var faultsOfStores = map[string]fault{
	"a volume is full": {cause: fillVolume, pod: kube.RedisPods[1], alerts: []string{
		`VolumeFilling{severity="warning", job="redis", namespace="exercises", volume="data"}`,
	}},
	"the store is away": {cause: takeStoreAway, alerts: []string{
		`BackupStoreAway{severity="critical", job="backup-metrics", namespace="exercises", database="pingpong"}`,
		`BackupStoreAway{severity="critical", job="backup-metrics", namespace="project", database="todo"}`,
		`ArchiveBehind{severity="critical", job="postgres", namespace="exercises", database="pingpong"}`,
		`AppDown{severity="critical", job="storage", namespace="storage"}`,
	}},
}

// scaled takes pods away.
func scaled(namespace, what, fewer, all string) func(*kube.Cluster) func() {
	return func(c *kube.Cluster) func() {
		c = c.In(namespace)
		c.Scale(what, fewer)
		return func() { c.Scale(what, all) }
	}
}

// losePostgres also pings a pod that is not ready any more. Afterwards many pings succeed.
func losePostgres(c *kube.Cluster) (mend func()) {
	network := c.Network(&c.Pods("app=pingpong")[0])
	pings := load.StartPings(2, 5, func(ctx context.Context) (net.Conn, error) {
		return load.InNamespace(ctx, network, "127.0.0.1:8080")
	})
	c.Scale("statefulset/"+postgres.Set, "0")
	return func() {
		pings.Stop()
		c.Scale("statefulset/"+postgres.Set, "1")
		traffic.StartPings(c)
	}
}

func limitRedis(c *kube.Cluster) (mend func()) {
	pod := kube.RedisPods[0]
	before := strings.Fields(askRedisOf(c, pod, "CONFIG GET maxmemory"))
	askRedisOf(c, pod, "CONFIG SET maxmemory 1mb")
	return func() { askRedisOf(c, pod, "CONFIG SET "+strings.Join(before, " ")) }
}

// askRedisOf gives a command to the Redis of a pod.
func askRedisOf(c *kube.Cluster, pod, command string) string {
	return c.Kubectl("exec", pod, "--container", "redis", "--", "sh", "-ec",
		"REDISCLI_AUTH=$(cat /run/secrets/redis/password) redis-cli "+command)
}

// takeConnections takes five sixths of the connections to the todos.
func takeConnections(c *kube.Cluster) (mend func()) {
	c = c.In(project)
	limit, err := strconv.Atoi(postgres.Query(c, "SHOW max_connections"))
	require.NoError(c.T, err)
	taken := connectTo(c, limit*5/6)
	return func() {
		for _, connection := range taken {
			_ = connection.Close(context.Background())
		}
	}
}

// failBackup has a backup fail, while the CronJob is suspended. The runbook mends it.
func failBackup(c *kube.Cluster) (mend func()) {
	c = c.In(project)
	completed, log := c.WaitForJob(store.StartBackup(c, "fails", failing))
	require.False(c.T, completed, log)
	readStoreAgain(c)
	return func() {
		suspend(c, store.Backup, false)
		store.MadeBy(c, store.StartBackup(c, "now", func(*batchv1.JobSpec) {}))
		readStoreAgain(c)
	}
}

// failDailyTodos waits, since the CronJob is suspended. The runbook mends it.
func failDailyTodos(c *kube.Cluster) (mend func()) {
	c = c.In(project)
	return func() {
		suspend(c, dailyTodo, false)
		addDailyTodo(c)
	}
}

func addDailyTodo(c *kube.Cluster) {
	completed, log := c.WaitForJob(c.StartJob(dailyTodo, dailyTodo, func(*batchv1.JobSpec) {}))
	require.True(c.T, completed, log)
}

// suspend suspends a CronJob, or resumes it.
func suspend(c *kube.Cluster, cronJob string, is bool) {
	c.Kubectl("patch", "cronjob", cronJob, "--patch", fmt.Sprintf(`{"spec": {"suspend": %t}}`, is))
}

// readStoreAgain makes the metrics of backups be new ones. By themselves they are up to a minute old.
func readStoreAgain(c *kube.Cluster) {
	c.Kubectl("delete", "pod", "--selector", "app="+store.Metrics, "--wait=false")
}

// takeStoreAway leaves a segment of the log to archive.
func takeStoreAway(c *kube.Cluster) (mend func()) {
	comeBack := store.TakeAway(c)
	postgres.Query(c, "SELECT pg_logical_emit_message(false, 'e2e', 'archive this'), pg_switch_wal()")
	readStoreAgain(c)
	readStoreAgain(c.In(project))
	return comeBack
}

// fillVolume gives a Redis a volume of 64 MB, and fills most of it. The lab's own have the size of this
// machine's disk.
func fillVolume(c *kube.Cluster) (mend func()) {
	const set = "statefulset/redis-stset"
	pod := kube.RedisPods[1]
	replace := func(script string) {
		c.Scale(set, "1")
		c.Kubectl("wait", "--for", "delete", "--timeout", "2m", "pod/"+pod)
		onNode(c, script, c.Field("pv", c.Field("pvc", "redis-data-storage-"+pod, "{.spec.volumeName}"),
			"{.spec.*.path}"))
		c.Scale(set, "2")
		c.Kubectl("rollout", "status", set)
	}
	replace(`mkdir /run/small; mount -t tmpfs -o size=64m,mode=777 small /run/small
		cp -a "$1/." /run/small; mount --bind /run/small "$1"`)
	c.T.Cleanup(func() {
		replace(`umount "$1"; find "$1" -mindepth 1 -delete
			cp -a /run/small/. "$1"; umount /run/small; rmdir /run/small`)
	})
	dir := proc.Dir(c.Process(pod, "redis-server")) + "/root/data"
	var disk syscall.Statfs_t
	require.NoError(c.T, syscall.Statfs(dir, &disk))
	filler := dir + "/filler"
	require.NoError(c.T, os.WriteFile(filler, make([]byte, disk.Bavail*uint64(disk.Bsize)*9/10), 0o600))
	return func() { require.NoError(c.T, os.Remove(filler)) }
}

// onNode runs a script among the mounts of the lab's node.
func onNode(c *kube.Cluster, script, argument string) {
	node := lab.Daemons(lab.Name(), lab.Name()+"-0")
	require.NotEmpty(c.T, node)
	proc.Run(c.T, proc.Command(".", "nsenter", "--mount", "--target", strconv.Itoa(node[0]), "sh", "-ec", script,
		"sh", argument))
}

// connectTo connects to the database of a namespace, n times.
func connectTo(c *kube.Cluster, n int) (connections []*pgx.Conn) {
	server, _, _ := strings.Cut(postgres.Secret(c, "URL"), "?")
	config, err := pgx.ParseConfig(server + "?sslmode=require")
	require.NoError(c.T, err)
	address := net.JoinHostPort(c.Pod(postgres.Pod).Status.PodIP, "5432")
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{address}, nil }
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return load.InNamespace(ctx, c.Way, address)
	}
	for range n {
		connection, err := pgx.ConnectConfig(c.T.Context(), config)
		require.NoError(c.T, err)
		connections = append(connections, connection)
	}
	return connections
}

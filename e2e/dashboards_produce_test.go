package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/prometheus"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/store"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

const (
	// times is how often something is done, by each pod of an app.
	times = 150
	// few is how many requests an app answers, and fails how many it then fails, one a second.
	few, fails = 20, 4
	// clients ping together, and wait: enough to be more than 5 % of all.
	clients = 50
)

// produced is what was done for the dashboards to show.
type produced struct {
	c *kube.Cluster
	// held counts the pings that waited, at most for the time waited. refused counts those that failed.
	held, refused int
	waited        time.Duration
	began         time.Time
}

// renewPostgres gives the pings a server that has not died before: Kubernetes waits before it starts one that
// dies often.
func renewPostgres(c *kube.Cluster) {
	if c.Field("pod", postgres.Pod, `{.status.containerStatuses[?(@.name=="postgres")].restartCount}`) != "0" {
		c.DeletePod(postgres.Pod)
		postgres.WaitUntilReady(c)
	}
}

// killPostgres kills the server of the pings when Prometheus knows it. Its statistics start at zero then.
func killPostgres(c *kube.Cluster) {
	knows(c, `pg_postmaster_start_time_seconds{instance="`+c.Pod(postgres.Pod).Status.PodIP+`:9187"}`, 1)
	require.NoError(c.T, syscall.Kill(c.Process(postgres.Pod, "postgres"), syscall.SIGKILL))
}

// produce sends requests of all kinds, and makes a backup.
func produce(c *kube.Cluster) *produced {
	p := &produced{c: c, began: time.Now()}
	suspend(c, store.Backup, true)
	c.T.Cleanup(func() { suspend(c, store.Backup, false) })
	postgres.WaitUntilReady(c)
	backup := store.StartBackup(c, "shown", func(*batchv1.JobSpec) {})
	project := c.In(project)
	send(c, "pingpong", "GET /pingpong", load.Request{Method: "GET", Path: "/pingpong"}, 200, times)
	send(project, "todo-backend", "POST /todos", load.Request{Method: "POST", Path: "/todos",
		Header: "Content-Type: application/json\r\n", Body: []byte(`{"title": "Look at dashboards"}`)}, 201, times)
	c.T.Cleanup(func() { postgres.Query(project, "DELETE FROM todo WHERE title = 'Look at dashboards'") })
	send(project, "todo-frontend", "GET /static/{name}", load.Request{Method: "GET", Path: "/static/no"}, 404,
		few)
	askWithoutRight(c, 1)
	knows(c, `http_request_duration_seconds_count{job="storage", route="HEAD", status="403"}`, 1)
	askWithoutRight(c, times)
	connection := connectTo(c, 1)[0]
	defer connection.Close(context.Background())
	for range times {
		_, err := connection.Exec(c.T.Context(), "BEGIN; ROLLBACK")
		require.NoError(c.T, err)
	}
	store.MadeBy(c, backup)
	return p
}

// askWithoutRight asks the storage server for an object of the pings, with the key of the todos.
func askWithoutRight(c *kube.Cluster, times int) {
	client := store.Client(c.In(project))
	for range times {
		_, err := client.StatObject(c.T.Context(), store.Bucket, c.Namespace+"/no", minio.StatObjectOptions{})
		require.Equal(c.T, http.StatusForbidden, minio.ToErrorResponse(err).StatusCode, err)
	}
}

// archive has all log archived, and known to be: what is idle writes no other.
func (p *produced) archive() {
	for _, c := range []*kube.Cluster{p.c, p.c.In(project)} {
		for range 2 {
			log := postgres.Query(c, "SELECT pg_logical_emit_message(false, 'e2e', 'archive this');"+
				"SELECT pg_walfile_name(pg_switch_wal())")
			waitUntilArchived(c, postgres.Query, log)
		}
		readStoreAgain(c)
	}
}

// send sends a request to each pod of an app as often, after a first one.
func send(c *kube.Cluster, app, route string, request load.Request, status, times int) {
	pods := c.Pods("app=" + app)
	all := func(times int) {
		var group errgroup.Group
		for _, pod := range pods {
			network := c.Network(&pod)
			client := load.Client{Dial: func(ctx context.Context) (net.Conn, error) {
				return load.InNamespace(ctx, network, "127.0.0.1:8080")
			}}
			group.Go(func() error {
				defer client.Close()
				for range times {
					is, body, err := client.Do(c.T.Context(), request)
					if err != nil || is != status {
						return fmt.Errorf("%s of %s: %d %s: %w", route, app, is, body, err)
					}
				}
				return nil
			})
		}
		require.NoError(c.T, group.Wait())
	}
	all(1)
	knows(c, fmt.Sprintf(`http_request_duration_seconds_count{job="%s", route="%s", status="%d"}`, app, route,
		status), len(pods))
	all(times)
}

// knows waits until Prometheus knows as many series. It cannot tell how much a counter has grown before.
func knows(c *kube.Cluster, expression string, series int) {
	prometheus.Until(c, expression, func(is []prometheus.Sample) error {
		if len(is) != series {
			return fmt.Errorf("wanted %d", series)
		}
		return nil
	})
}

// holdUpPings has pings wait for a lock until somebody has seen it, and for less than 5 seconds at a time:
// after that, pingpong refuses them.
func (p *produced) holdUpPings(look func() error) {
	const patience = 3 * time.Second
	hold := func() (err error) {
		connection := connectTo(p.c, 1)[0]
		_, err = connection.Exec(p.c.T.Context(), "BEGIN; LOCK TABLE counter IN EXCLUSIVE MODE")
		require.NoError(p.c.T, err)
		pings := load.StartPings(clients, 0, traffic.Pingpong(p.c).Dial)
		began := time.Now()
		for err = look(); err != nil && time.Since(began) < patience; err = look() {
		}
		p.waited = time.Since(began)
		require.NoError(p.c.T, connection.Close(context.Background()))
		account := pings.Stop()
		p.held += len(account.Numbers)
		p.refused += account.Failed()
		return err
	}
	wait.Until(p.c.T, hold)
}

// takeBackendAway lets requests fail. The function that it returns brings the backend back.
func (p *produced) takeBackendAway() (mend func()) {
	c := p.c.In(project)
	mend = scaled(project, "deployment/todo-backend", "0", "2")(c)
	c.Kubectl("wait", "--for", "delete", "--timeout", "2m", "pod", "--selector", "app=todo-backend")
	send(c, "todo-frontend", "/todos", load.Request{Method: "GET", Path: "/todos"}, 503, fails)
	return mend
}

package e2e

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

func TestPostgresOverTheNetwork(t *testing.T) {
	c := newLane(t, exercises)
	postgres.Table(c, "network (n int)")
	postgres.Query(c, "ALTER TABLE network OWNER TO pingpong")
	output, status := c.Visit(postgres.Client("URL", `exec 2>&1
try() { echo "== $1"; shift; psql --quiet --no-align --tuples-only "$@"; }
other() { echo "$owner" | sed "$1"; }
echo "== service"; getent ahostsv4 postgres-svc
echo "== pod"; getent ahostsv4 postgres-ss-0.postgres-svc
try owner "$owner" -c "SELECT current_user, current_database(), ssl
	FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
try table "$owner" -c "INSERT INTO network VALUES (42)"
try role "$owner" -c "CREATE ROLE more"
try full-name "$(other 's/@postgres-svc:/@postgres-ss-0.postgres-svc.exercises.svc.cluster.local:/')" \
	-c "SELECT 'verified'"
try other-name "$(other "s/@postgres-svc:/@$(getent ahostsv4 postgres-svc | sed 's/ .*//;q'):/")" \
	-c "SELECT 1"
try plain "$(other 's/sslmode=verify-full/sslmode=disable/')" -c "SELECT 1"
try superuser "$(other 's,//pingpong:,//postgres:,')" -c "SELECT 1"
try exporter "$(other 's,//pingpong:,//exporter:,')" -c "SELECT 1"
try wrong "$(other 's,//pingpong:,//pingpong:x,')" -c "SELECT 1"
true`))
	require.Equal(t, 0, status, output)
	answers := map[string]string{}
	for part := range strings.SplitSeq(output, "== ") {
		name, answer, _ := strings.Cut(part, "\n")
		answers[name] = strings.TrimSpace(answer)
	}
	ip := c.Pod(postgres.Pod).Status.PodIP
	assert.Contains(t, answers["service"], ip+" ")
	assert.Contains(t, answers["pod"], ip+" ")
	assert.Equal(t, "pingpong|pingpong|t", answers["owner"])
	assert.Empty(t, answers["table"])
	assert.Contains(t, answers["role"], "permission denied to create role")
	assert.Equal(t, "verified", answers["full-name"])
	assert.Contains(t, answers["other-name"], "does not match host name")
	assert.Contains(t, answers["plain"], "no encryption")
	assert.Contains(t, answers["superuser"], "pg_hba.conf rejects connection")
	assert.Contains(t, answers["exporter"], "pg_hba.conf rejects connection")
	assert.Contains(t, answers["wrong"], "password authentication failed")

	output, status = c.Visit(postgres.Client("READER_URL", `exec 2>&1
reader="$owner"
psql "$reader" -Atc "SELECT current_user, n FROM network" -c "SET default_transaction_read_only = off" \
	-c "INSERT INTO network VALUES (43)"
psql "$reader" -c "CREATE TABLE mine (n int)"
pg_dump --no-owner "$reader"`))
	assert.Equal(t, 0, status, output)
	assert.Contains(t, output, "reader|42\n")
	assert.Contains(t, output, "permission denied for table network")
	assert.Contains(t, output, "cannot execute CREATE TABLE in a read-only transaction")
	assert.Contains(t, output, "COPY public.network (n) FROM stdin;\n42\n\\.")
}

func TestPostgresIsSetUpAsPromised(t *testing.T) {
	c := newLane(t, exercises)
	assert.Equal(t, "on|on|on|scram-sha-256|on",
		postgres.Query(c, `SELECT current_setting('data_checksums'), current_setting('fsync'),
		current_setting('synchronous_commit'), current_setting('password_encryption'), current_setting('ssl')`))
	assert.Equal(t, "128MB|128|256MB",
		postgres.Query(c, `SELECT current_setting('shared_buffers'), current_setting('max_connections'),
		current_setting('max_wal_size')`))
	assert.Equal(t, "b|C.UTF-8|UTF8",
		postgres.Query(c, `SELECT datlocprovider, datlocale, pg_encoding_to_char(encoding)
		FROM pg_database WHERE datname = current_database()`))
	assert.Equal(t, "exporter|f|f|f|f\npingpong|f|f|f|f\npostgres|t|t|t|t\nreader|f|f|f|t\nrestorer|t|f|f|f",
		postgres.Query(c, `SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls
		FROM pg_roles WHERE rolname NOT LIKE 'pg_%' ORDER BY 1`))
	assert.Equal(t, "", postgres.Query(c, `SELECT * FROM pg_hba_file_rules WHERE error IS NOT NULL`))
}

func TestMetricsOfPostgres(t *testing.T) {
	c := newLane(t, exercises)
	postgres.Table(c, "measured (n int)")
	metrics, err := c.CoreV1().Pods(c.Namespace).ProxyGet("http", postgres.Pod, "9187", "metrics",
		nil).DoRaw(t.Context())
	require.NoError(t, err)
	for _, line := range []string{"\npg_up 1\n", `pg_database_size_bytes{datname="pingpong"}`,
		`relname="measured"`, "pg_wal_size_bytes"} {
		assert.Contains(t, string(metrics), line)
	}
}

// Processes of a pod that was deleted by force may still write.
func TestOnlyOneServerRunsOnTheVolume(t *testing.T) {
	c := newCluster(t) // beside others the new pod may come too late to find the old one's server
	server, uid := c.Process(postgres.Pod, "postgres"), c.Pod(postgres.Pod).UID
	require.NoError(t, syscall.Kill(server, syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(server, syscall.SIGCONT) })
	c.ForceDelete(postgres.Pod)
	wait.Until(t, func() error {
		pod, err := c.CoreV1().Pods(c.Namespace).Get(t.Context(), postgres.Pod, metav1.GetOptions{})
		if err == nil && (pod.UID == uid || len(kube.Processes(pod, "flock")) == 0) {
			err = fmt.Errorf("the new pod does not wait for the old one's server: %v", pod.Status)
		}
		return err
	})
	require.NoError(t, syscall.Kill(server, syscall.SIGCONT))
	postgres.WaitUntilReady(c)
	log := c.Log(postgres.Pod, "setup")
	assert.Contains(t, log, "database system was shut down at")
	assert.NotContains(t, log, "interrupted")
}

// postgresBefore is what a database has before its settings change.
type postgresBefore struct{ url, authority string }

// keepInPostgres keeps a row until the test ends.
func keepInPostgres(c *kube.Cluster) postgresBefore {
	postgres.Table(c, "followed (n int)")
	postgres.Query(c, "INSERT INTO followed VALUES (42)")
	return postgresBefore{postgres.Secret(c, "URL"), postgres.Secret(c, "ca.crt")}
}

// postgresHasFollowed looks at the database of pingpong after a change of its parameters and a rotation of
// its secrets.
func postgresHasFollowed(t *testing.T, c *kube.Cluster, before postgresBefore) {
	c.WaitUntilRolledOut("statefulset/" + postgres.Set)
	assert.Equal(t, `3MB|it's 1\2`,
		postgres.Query(c, "SELECT current_setting('work_mem'), current_setting('my.parameter')"))
	assert.Equal(t, "42", postgres.Query(c, "SELECT n FROM followed"))
	assert.NotEqual(t, before.url, postgres.Secret(c, "URL"))
	assert.NotEqual(t, before.authority, postgres.Secret(c, "ca.crt"))
	output, status := c.Visit(postgres.Client("URL", `psql "$owner" -Atc "SELECT 'new'" && psql '`+before.url+
		`' -Atc "SELECT 'old'" 2>&1`))
	assert.Equal(t, 2, status, output)
	assert.Contains(t, output, "new\n")
	assert.Contains(t, output, "password authentication failed")
}

func TestPostgresRefusesDataOfAnotherMajorVersion(t *testing.T) {
	c := newLane(t, exercises)
	postgres.Table(c, "major (n int)")
	postgres.Query(c, "INSERT INTO major VALUES (42)")
	major := postgres.Query(c, "SELECT current_setting('server_version_num')::int / 10000")
	refusal := "setup: the volume holds data of PostgreSQL 16, and this image has PostgreSQL " + major +
		"; nothing was changed: set postgresImage to PostgreSQL 16 again, or move the data as docs/postgres.md " +
		"says\n"
	postgres.OnVolume(c, "echo 16 >/data/pgdata/PG_VERSION")
	c.DeletePod(postgres.Pod)
	wait.Until(t, func() error {
		pod, err := c.CoreV1().Pods(c.Namespace).Get(t.Context(), postgres.Pod, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, container := range pod.Status.InitContainerStatuses {
			for _, state := range []corev1.ContainerState{container.State, container.LastTerminationState} {
				if end := state.Terminated; end != nil && end.ExitCode == 1 {
					require.Equal(t, refusal, end.Message)
					return nil
				}
			}
		}
		return errors.New("the data of another major version is not refused")
	})
	postgres.OnVolume(c, "echo "+major+" >/data/pgdata/PG_VERSION")
	c.DeletePod(postgres.Pod)
	postgres.WaitUntilReady(c)
	assert.Equal(t, "42", postgres.Query(c, "SELECT n FROM major"))
}

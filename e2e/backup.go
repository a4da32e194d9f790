package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

const (
	// backup is the Job, the CronJob and the Secret of each namespace with a database.
	backup        = "backup"
	backupMetrics = "backup-metrics"

	storageSet = "storage-ss"
	storagePod = storageSet + "-0"
	bucket     = "backups"
)

// manifest is what is stored of a backup beside its dump.
type manifest struct {
	Name              string
	Started, Verified time.Time
	Dump              struct{ Size int64 }
	Content           struct {
		Tables []struct {
			Name string
			Rows int
		}
	}
	Lacks []string
}

// startBackup starts a Job as the CronJob does, but for a change, which is deleted when the test ends.
func (c *cluster) startBackup(name string, change func(*batchv1.JobSpec)) (job string) {
	c.t.Helper()
	job = c.startJob(backup, name, change)
	c.t.Cleanup(func() { c.deleteJob(job) })
	return job
}

// deleteJob returns when its pods are gone too.
func (c *cluster) deleteJob(name string) {
	c.t.Helper()
	run(c.t, command(".", "kubectl", "-n", c.namespace, "delete", "job", name, "--ignore-not-found",
		"--cascade", "foreground"))
}

// outcome is how the pod of a Job ended.
type outcome struct {
	OK           bool
	Said, Backup string
}

// outcome is that of the newest pod of a Job that has ended.
func (c *cluster) outcome(job string) (o outcome) {
	c.t.Helper()
	pods := c.podsOfJob(job)
	require.NotEmpty(c.t, pods, "pods of job %s", job)
	end := pods[len(pods)-1].Status.ContainerStatuses[0].State.Terminated
	require.NotNil(c.t, end, "job %s has not ended", job)
	require.NoError(c.t, json.Unmarshal([]byte(end.Message), &o), end.Message)
	return o
}

// madeBy is the name of the backup that a Job which has succeeded has made.
func (c *cluster) madeBy(job string) string {
	c.t.Helper()
	end := c.outcome(job)
	require.True(c.t, end.OK, end.Said)
	require.Regexp(c.t, `^verified backup `+end.Backup+`: \d+ tables, \d+ rows, [\d.]+ \w*B in [\dms.]+$`,
		end.Said)
	require.Contains(c.t, c.backups(), end.Backup)
	return end.Backup
}

// store is the storage server, used as the Jobs of the namespace do, but from the node.
func (c *cluster) store() *minio.Client {
	c.t.Helper()
	secret, err := c.CoreV1().Secrets(c.namespace).Get(c.t.Context(), backup, metav1.GetOptions{})
	require.NoError(c.t, err)
	return c.storeOf(string(secret.Data["access-key"]), string(secret.Data["secret-key"]),
		string(secret.Data["ca.crt"]))
}

// storeOf is the storage server for an account.
func (c *cluster) storeOf(account, secretKey, authority string) *minio.Client {
	c.t.Helper()
	address := c.storageAddress()
	client, err := minio.New("storage-svc.storage.svc:9000", &minio.Options{
		Creds:  credentials.NewStaticV4(account, secretKey, ""),
		Secure: true,
		Region: "us-east-1",
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: trusting(authority)},
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return load.InNamespace(ctx, nodeNetwork(), address)
			},
		},
	})
	require.NoError(c.t, err)
	return client
}

func (c *cluster) storageAddress() string {
	c.t.Helper()
	return net.JoinHostPort(c.in(storage).pod(storagePod).Status.PodIP, "9000")
}

// backups are the names of those of the namespace, oldest first.
func (c *cluster) backups() (names []string) {
	c.t.Helper()
	for object := range c.store().ListObjects(c.t.Context(), bucket,
		minio.ListObjectsOptions{Prefix: c.namespace + "/", Recursive: true}) {
		require.NoError(c.t, object.Err)
		if path.Base(object.Key) == "manifest.json" {
			names = append(names, path.Base(path.Dir(object.Key)))
		}
	}
	slices.Sort(names)
	return names
}

// stored is the content of a file of a backup.
func (c *cluster) stored(name, file string) []byte {
	c.t.Helper()
	object, err := c.store().GetObject(c.t.Context(), bucket, path.Join(c.namespace, name, file),
		minio.GetObjectOptions{})
	require.NoError(c.t, err)
	defer object.Close()
	content, err := io.ReadAll(object)
	require.NoError(c.t, err)
	return content
}

func (c *cluster) manifest(name string) manifest {
	c.t.Helper()
	var stored struct{ Manifest manifest }
	require.NoError(c.t, json.Unmarshal(c.stored(name, "manifest.json"), &stored))
	return stored.Manifest
}

// dumped is the rows of a table in a backup, as COPY writes them. They are as many as the manifest says.
func (c *cluster) dumped(name, table string) string {
	c.t.Helper()
	restore := command(".", "kubectl", "-n", c.namespace, "exec", "--stdin", "deployment/"+backupMetrics, "--",
		"pg_restore", "--data-only", "--table", table, "--file", "-")
	restore.Stdin = bytes.NewReader(c.stored(name, "dump"))
	_, rows, found := strings.Cut(run(c.t, restore), " FROM stdin;\n")
	require.True(c.t, found, "table %s is not in the dump", table)
	rows, _, _ = strings.Cut(rows, "\\.\n")
	for _, recorded := range c.manifest(name).Content.Tables {
		if recorded.Name == table {
			require.Equal(c.t, recorded.Rows, strings.Count(rows, "\n"), "rows of %s in %s", table, name)
			return rows
		}
	}
	c.t.Fatalf("table %s is not in the manifest of %s", table, name)
	return ""
}

// dumpFile is a stored dump on the volume of the storage server.
func (c *cluster) dumpFile(name string) string {
	c.t.Helper()
	pattern := filepath.Join(labs, labName(), "node-0/lib/rancher/k3s/storage",
		"*_"+storage+"_data-"+storagePod, bucket, c.namespace, name, "dump")
	found, err := filepath.Glob(pattern)
	require.NoError(c.t, err)
	require.Len(c.t, found, 1, pattern)
	return found[0]
}

// takeStoreAway returns when the server is gone; the function that it returns brings it back.
func (c *cluster) takeStoreAway() (comeBack func()) {
	c.t.Helper()
	scale := func(replicas int) {
		run(c.t, command(".", "kubectl", "-n", storage, "scale", "statefulset", storageSet, "--replicas",
			strconv.Itoa(replicas)))
	}
	scale(0)
	c.t.Cleanup(func() { scale(1) }) // also of a test that fails
	run(c.t, command(".", "kubectl", "-n", storage, "wait", "--for", "delete", "--timeout", "2m", "pod/"+
		storagePod))
	return func() {
		scale(1)
		c.in(storage).waitForPods(func(corev1.Pod) error { return nil })
	}
}

// gauges are the metrics of the backups, by their names without the prefix that all have.
func (c *cluster) gauges() (map[string]float64, error) {
	c.t.Helper()
	text, err := c.metrics(c.podsOf(backupMetrics)[0])
	if err != nil {
		return nil, err
	}
	gauges := map[string]float64{}
	for _, line := range regexp.MustCompile(`(?m)^backup_(\w+){prefix="`+c.namespace+
		`"} (\S+)$`).FindAllStringSubmatch(text, -1) {
		if gauges[line[1]], err = strconv.ParseFloat(line[2], 64); err != nil {
			return nil, err
		}
	}
	return gauges, nil
}

// networkOf is a pod's network namespace.
func networkOf(t *testing.T, pod corev1.Pod) string {
	t.Helper()
	sandbox := slices.DeleteFunc(processesOf(pod), func(process int) bool {
		return strings.TrimSpace(read(filepath.Join("/proc", strconv.Itoa(process)),
			"comm")) != "pause" // others may end before the pod does
	})
	require.Len(t, sandbox, 1, "sandboxes of pod %s", pod.Name)
	return filepath.Join("/proc", strconv.Itoa(sandbox[0]), "ns/net")
}

// processesOf are all processes of a pod.
func processesOf(pod corev1.Pod) []int {
	return findProcesses(func(dir string) bool {
		return strings.Contains(strings.ReplaceAll(read(dir, "cgroup"), "_", "-"), string(pod.UID))
	})
}

// Package store looks at backups: in the lab's storage server, as the Jobs of a namespace see it, and in an
// S3 server of this machine.
package store

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
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
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

const (
	// Backup is the Job, the CronJob and the Secret of each namespace with a database.
	Backup = "backup"
	// Metrics is the Deployment that tells of a namespace's backups.
	Metrics = "backup-metrics"
	// Bucket holds the backups.
	Bucket = "backups"

	set = "storage-ss"
	pod = set + "-0"
)

// Manifest describes a backup.
type Manifest struct {
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

// StartBackup starts a Job as the CronJob does, but for a change. It is deleted when the test ends.
func StartBackup(c *kube.Cluster, name string, change func(*batchv1.JobSpec)) (job string) {
	job = c.StartJob(Backup, name, change)
	c.T.Cleanup(func() { DeleteJob(c, job) })
	return job
}

// DeleteJob returns when the Job's pods are gone too.
func DeleteJob(c *kube.Cluster, name string) {
	c.Kubectl("delete", "job", name, "--ignore-not-found", "--cascade=foreground")
}

// Outcome is how a backup or restore ended.
type Outcome struct {
	OK           bool
	Said, Backup string
}

// OutcomeOf returns the outcome of the newest pod of a Job.
func OutcomeOf(c *kube.Cluster, job string) (o Outcome) {
	pods := c.JobPods(job)
	require.NotEmpty(c.T, pods, "pods of job %s", job)
	end := pods[len(pods)-1].Status.ContainerStatuses[0].State.Terminated
	require.NotNil(c.T, end, "job %s has not ended", job)
	require.NoError(c.T, json.Unmarshal([]byte(end.Message), &o), end.Message)
	return o
}

// MadeBy waits for a Job, which has to succeed, and returns the name of its backup.
func MadeBy(c *kube.Cluster, job string) string {
	completed, log := c.WaitForJob(job)
	require.True(c.T, completed, log)
	end := OutcomeOf(c, job)
	require.True(c.T, end.OK, end.Said)
	require.Regexp(c.T, `^verified backup `+end.Backup+`: \d+ tables, \d+ rows, [\d.]+ \w*B in [\dms.]+$`,
		end.Said)
	require.Contains(c.T, Backups(c), end.Backup)
	return end.Backup
}

// Client uses the lab's storage server as the Jobs of the namespace do, but from the node.
func Client(c *kube.Cluster) *minio.Client {
	secret, err := c.CoreV1().Secrets(c.Namespace).Get(c.T.Context(), Backup, metav1.GetOptions{})
	require.NoError(c.T, err)
	return ClientOf(c, string(secret.Data["access-key"]), string(secret.Data["secret-key"]),
		string(secret.Data["ca.crt"]))
}

// ClientOf uses the lab's storage server with an account.
func ClientOf(c *kube.Cluster, account, secretKey, authority string) *minio.Client {
	address := net.JoinHostPort(c.In(kube.Storage).Pod(pod).Status.PodIP, "9000")
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM([]byte(authority))
	client, err := minio.New("storage-svc.storage.svc:9000", &minio.Options{
		Creds:  credentials.NewStaticV4(account, secretKey, ""),
		Secure: true,
		Region: "us-east-1",
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: trusted},
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return load.InNamespace(ctx, lab.NodeNetwork(), address)
			},
		},
	})
	require.NoError(c.T, err)
	return client
}

// Backups returns the names of the namespace's backups, oldest first.
func Backups(c *kube.Cluster) (names []string) {
	for object := range Client(c).ListObjects(c.T.Context(), Bucket,
		minio.ListObjectsOptions{Prefix: c.Namespace + "/", Recursive: true}) {
		require.NoError(c.T, object.Err)
		if path.Base(object.Key) == "manifest.json" {
			names = append(names, path.Base(path.Dir(object.Key)))
		}
	}
	slices.Sort(names)
	return names
}

// read returns the content of a file of a backup.
func read(c *kube.Cluster, name, file string) []byte {
	object, err := Client(c).GetObject(c.T.Context(), Bucket, path.Join(c.Namespace, name, file),
		minio.GetObjectOptions{})
	require.NoError(c.T, err)
	defer object.Close()
	content, err := io.ReadAll(object)
	require.NoError(c.T, err)
	return content
}

// ReadManifest returns a backup's manifest.
func ReadManifest(c *kube.Cluster, name string) Manifest {
	var stored struct{ Manifest Manifest }
	require.NoError(c.T, json.Unmarshal(read(c, name, "manifest.json"), &stored))
	return stored.Manifest
}

// Rows returns the rows of a table in a backup, as COPY writes them. The manifest has to count as many.
func Rows(c *kube.Cluster, name, table string) string {
	// pg_restore stops reading after the table, and kubectl would wait for ever with the rest of the dump.
	const script = `pg_restore --data-only --table "$1" --file -; cat >/dev/null`
	restore := c.Command("exec", "--stdin", "deployment/"+Metrics, "--", "sh", "-ec", script, "sh", table)
	restore.Stdin = bytes.NewReader(read(c, name, "dump"))
	_, rows, found := strings.Cut(proc.Run(c.T, restore), " FROM stdin;\n")
	require.True(c.T, found, "table %s is not in the dump", table)
	rows, _, _ = strings.Cut(rows, "\\.\n")
	for _, recorded := range ReadManifest(c, name).Content.Tables {
		if recorded.Name == table {
			require.Equal(c.T, recorded.Rows, strings.Count(rows, "\n"), "rows of %s in %s", table, name)
			return rows
		}
	}
	c.T.Fatalf("table %s is not in the manifest of %s", table, name)
	return ""
}

// DumpFile is the path of a stored dump on the volume of the lab's storage server.
func DumpFile(c *kube.Cluster, name string) string {
	pattern := filepath.Join(lab.Path("node-0/lib/rancher/k3s/storage"), "*_"+kube.Storage+"_data-"+pod, Bucket,
		c.Namespace, name, "dump")
	found, err := filepath.Glob(pattern)
	require.NoError(c.T, err)
	require.Len(c.T, found, 1, pattern)
	return found[0]
}

// TakeAway returns when the lab's storage server is gone. The function that it returns brings it back.
func TakeAway(c *kube.Cluster) (comeBack func()) {
	c = c.In(kube.Storage)
	c.Scale("statefulset/"+set, "0")
	c.T.Cleanup(func() { c.Scale("statefulset/"+set, "1") }) // also of a test that fails
	c.Kubectl("wait", "--for", "delete", "--timeout", "2m", "pod/"+pod)
	return func() {
		c.Scale("statefulset/"+set, "1")
		c.WaitForPods()
	}
}

// Gauges returns the metrics of the namespace's backups, by their names without the common prefix.
func Gauges(c *kube.Cluster) map[string]float64 {
	text, err := c.Metrics(c.Pods("app=" + Metrics)[0].Name, "9090")
	require.NoError(c.T, err)
	gauges := map[string]float64{}
	line := regexp.MustCompile(`(?m)^backup_(\w+){prefix="` + c.Namespace + `"} (\S+)$`)
	for _, match := range line.FindAllStringSubmatch(text, -1) {
		gauges[match[1]], err = strconv.ParseFloat(match[2], 64)
		require.NoError(c.T, err)
	}
	return gauges
}

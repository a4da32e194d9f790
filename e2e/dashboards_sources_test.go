package e2e

import (
	"crypto/x509"
	"encoding/pem"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/store"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// perSecond is the rate of something that happened as often in the window of the graphs. Prometheus guesses
// what happened between its looks and the window's ends.
func perSecond(times int) between {
	const window = 300
	return between{0.96 * float64(times) / window, (1.06*float64(times) + 10) / window}
}

// lag is how many seconds may pass until what Prometheus says is compared.
const lag = 30

// since is the age of something.
func since(of time.Time) between {
	age := time.Since(of).Seconds()
	return between{age - lag, age + lag}
}

func ageOfBackup(c *kube.Cluster) between {
	backups := store.Backups(c)
	taken, err := restorepoint.BackupTime(backups[len(backups)-1])
	require.NoError(c.T, err)
	return since(taken)
}

// archive is what a bucket has of a database's log.
type archive struct {
	size   float64
	newest time.Time
}

var segment = regexp.MustCompile(`/archive/.*/[0-9A-F]{24}-[0-9a-f]{40}`)

func readArchive(c *kube.Cluster) (a archive) {
	for object := range store.Client(c).ListObjects(c.T.Context(), store.Bucket,
		minio.ListObjectsOptions{Prefix: c.Namespace + "/wal/", Recursive: true}) {
		require.NoError(c.T, object.Err)
		a.size += float64(object.Size)
		if segment.MatchString(object.Key) && object.LastModified.After(a.newest) {
			a.newest = object.LastModified
		}
	}
	return a
}

// timeLeft is the time until a Secret's certificate expires.
func timeLeft(c *kube.Cluster, secret string) between {
	block, _ := pem.Decode([]byte(c.Kubectl("get", "secret", secret, "--output",
		`go-template={{index .data "tls.crt" | base64decode}}`)))
	require.NotNil(c.T, block)
	certificate, err := x509.ParseCertificate(block.Bytes)
	require.NoError(c.T, err)
	left := time.Until(certificate.NotAfter).Seconds()
	return between{left - lag, left + lag}
}

// statVolume asks the kernel for the size of a volume, as a process of a pod that has it in dir sees it.
func statVolume(c *kube.Cluster, pod, process, dir string) (size, available float64) {
	var is syscall.Statfs_t
	require.NoError(c.T, syscall.Statfs(proc.Dir(c.Process(pod, process))+"/root"+dir, &is))
	unit := float64(is.Bsize)
	return unit * float64(is.Blocks-is.Bfree+is.Bavail), unit * float64(is.Bavail)
}

// field is the value of a line such as "maxmemory:67108864".
func field(text, name string) string {
	_, rest, _ := strings.Cut(text, "\n"+name+":")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

func number(c *kube.Cluster, text string) float64 {
	value, err := strconv.ParseFloat(text, 64)
	require.NoError(c.T, err)
	return value
}

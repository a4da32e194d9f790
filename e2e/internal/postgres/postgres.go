// Package postgres asks and disturbs the Postgres of a namespace.
package postgres

import (
	"strings"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

const (
	// Set is the StatefulSet, Pod its only pod, and Volume that pod's claim.
	Set    = "postgres-ss"
	Pod    = Set + "-0"
	Volume = "data-" + Pod
	// Image is of a new database.
	Image = "postgres:18"
)

var psql = []string{"exec", Pod, "--container", "postgres", "--", "psql", "--quiet", "--no-align",
	"--tuples-only", "--set", "ON_ERROR_STOP=1", "--command"}

// Query runs SQL as the README does it by hand, and returns bare values: a line for each row, | between
// columns.
func Query(c *kube.Cluster, sql string) string {
	return strings.TrimSpace(c.Kubectl(append(psql, sql)...))
}

// Table makes an empty table for the time of the test, from its name with its columns in parentheses.
func Table(c *kube.Cluster, definition string) {
	name, _, _ := strings.Cut(definition, " ")
	Query(c, "DROP TABLE IF EXISTS "+name)
	Query(c, "CREATE TABLE "+definition)
	c.T.Cleanup(func() { Query(c, "DROP TABLE "+name) })
}

// Secret is the value of a key of the Secret that the clients of Postgres have.
func Secret(c *kube.Cluster, key string) string {
	return c.Kubectl("get", "secret", "postgres", "--output",
		`go-template={{index .data "`+key+`" | base64decode}}`)
}

// Client is a visitor that may connect to Postgres. Its script starts when the server can be reached, with
// the URL of the Secret's key in $owner.
func Client(key, script string) *corev1.Pod {
	pod := kube.Visitor(map[string]string{"postgres-client": "true"},
		`for try in $(seq 60); do pg_isready --quiet --host postgres-svc --timeout 2 && break; sleep 1; done
owner=$(cat /run/secrets/postgres/URL 2>/dev/null)
`+script)
	pod.Spec.Containers[0].Image = Image
	mount(pod, "/run/secrets/postgres", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: "postgres",
		Items:      []corev1.KeyToPath{{Key: key, Path: "URL"}, {Key: "ca.crt", Path: "ca.crt"}},
	}})
	return pod
}

// OnVolume runs a script in a pod that has the data of Postgres in /data.
func OnVolume(c *kube.Cluster, script string) {
	pod := kube.Visitor(nil, script)
	mount(pod, "/data", corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: Volume},
	})
	output, status := c.Visit(pod)
	require.Zero(c.T, status, output)
}

func mount(pod *corev1.Pod, path string, source corev1.VolumeSource) {
	pod.Spec.Volumes = []corev1.Volume{{Name: "volume", VolumeSource: source}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "volume", MountPath: path}}
}

// WaitUntilReady waits until the server answers, and all pods are ready.
func WaitUntilReady(c *kube.Cluster) {
	wait.Until(c.T, func() error { return c.Command(append(psql, "SELECT 1")...).Run() })
	c.WaitUntilReady()
}

// LoseVolume deletes the volume of Postgres, and makes the server start on a new one.
func LoseVolume(c *kube.Cluster) {
	c.Scale("statefulset/"+Set, "0")
	c.ForceDelete(Pod)
	c.Kubectl("delete", "pvc", Volume)
	c.Scale("statefulset/"+Set, "1")
}
